"""The two long ones: the demo whole, and a study that is really killed."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from neoresponse.contracts.metrics import Metrics
from neoresponse.contracts.record import read_record
from neoresponse.durable import read_json, sha256_of
from neoresponse.settings.toml import to_toml
from neoresponse.types import REFERENCE_MODELS

RESULTS = (
    "runs/se_crosst/model/weights.safetensors",
    "runs/se_crosst/metrics.csv",
    "runs/se_crosst/predictions.csv",
    "evaluation/metrics.json",
    "explain/se_crosst/explain.json",
    "report/report.html",
)


def start(*words):
    command = [sys.executable, "-m", "neoresponse", *map(str, words)]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)


@pytest.mark.slow
def test_the_demo_beats_chance_and_its_page_stands_alone(tmp_path):
    assert start("demo", tmp_path / "demo").wait() == 0
    study = tmp_path / "demo" / "study"
    counts = read_json(study / "split" / "split.json", schema="neoresponse.split/1")["counts"]
    assert counts["TC2"] == {"num_patients": 105, "num_pcr": 23}
    runs = read_record(study / "evaluation", Metrics).model_dump()["runs"]
    assert set(runs) == {"se_crosst", "regnet", *REFERENCE_MODELS}
    assert runs["se_crosst"]["cohorts"]["TC1+TC2"]["auc"]["low"] > 0.5
    page = (study / "report" / "report.html").read_text()
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert page.count("SIMULATED") > 20
    assert len(re.findall(r"<img [^>]*src=\"data:image/(?:png|jpeg);base64,", page)) >= 2 * 6 * 3


@pytest.mark.slow
def test_a_study_that_is_really_killed_ends_the_same(tiny, phantom, tmp_path):
    """With its trainings, or it alone: then they notice, and leave to the next start."""
    study = tmp_path / "study.toml"
    study.write_text(f'cohort = "{(phantom / "cohort").as_posix()}"\n' + to_toml(tiny))
    began = time.monotonic()
    assert start("study", study, tmp_path / "whole").wait() == 0
    needed = time.monotonic() - began
    chance = random.Random(1)
    num_killed = 0
    for number in range(4):
        process = start("study", study, tmp_path / "killed")
        time.sleep(chance.uniform(0.3, 1.0) * needed)
        if process.poll() is None:
            if number % 2:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            num_killed += 1
        process.wait()
    assert num_killed > 0
    assert start("study", study, tmp_path / "killed").wait() == 0
    for name in RESULTS:
        assert sha256_of(tmp_path / "killed" / name) == sha256_of(tmp_path / "whole" / name), name
