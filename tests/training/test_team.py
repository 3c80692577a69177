"""Two real processes on one machine, held against one process alone."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from neoresponse.config import VarySettings
from neoresponse.errors import Followed, RunError, Stopped
from neoresponse.models.trained import load_model
from neoresponse.settings_file import to_toml
from neoresponse.training import loop
from neoresponse.training.predict import predict_patients
from neoresponse.training.run import train_run
from neoresponse.training.team import ALONE, Team, current_team, open_team

SCRIPT = Path(__file__).with_name("team_of_two.py")


def with_train(settings, **train):
    return settings.model_copy(update={"train": settings.train.model_copy(update=train)})


@pytest.fixture(scope="module")
def plain(tiny):
    """Nothing drawn inside a step; seven samples a step, in parts, and a smaller last batch."""
    model = tiny.model.model_copy(update={"pathways": ("us_0",)})
    settings = tiny.model_copy(update={"model": model})
    return with_train(settings, batch_size=7, micro_batch=3)


@pytest.fixture(scope="module")
def drawn(plain):
    """Dropped paths and speckle, and every other kind of state."""
    model = plain.model.model_copy(update={"drop_path": 0.3})
    settings = plain.model_copy(update={"model": model})
    more = {"sampling": "weighted", "ema_decay": 0.9, "clip_norm": 1.0}
    vary = VarySettings(speckle=0.2)
    return with_train(settings, batch_size=6, micro_batch=None, vary=vary, **more)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start_two(words, folder=None):
    """Two processes with what torchrun would tell them."""
    port = str(free_port())
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    local = {"LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, **shared, **local, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def ends(processes, timeout=120):
    """Exit code, output and errors of each."""
    try:
        texts = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]


def stop_after_steps(patch, num):
    step, taken = loop._take_step, []

    def take(*args):
        taken.append(1)
        if len(taken) == num:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(*args)

    patch.setattr(loop, "_take_step", take)


@pytest.fixture(scope="module")
def out(tmp_path_factory, store, assignments, run, plain, drawn):
    """What two processes leave after all tasks of the script."""
    out = tmp_path_factory.mktemp("team")
    (out / "plain.toml").write_text(to_toml(plain))
    (out / "drawn.toml").write_text(to_toml(drawn))
    with pytest.MonkeyPatch.context() as patch:
        stop_after_steps(patch, 2)
        with pytest.raises(Stopped):
            train_run(store, assignments, plain, out / "half")
    ended = ends(start_two([str(SCRIPT), str(store.folder), str(run), str(out)]))
    assert [code for code, *_ in ended] == [0, 0], ended
    return out


@pytest.fixture(scope="module")
def alone(tmp_path_factory, store, assignments, plain):
    """The plain training by one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    train_run(store, assignments, plain, folder)
    return folder


def states(folder):
    """Weights and moments at the end."""
    (path,) = (folder / "checkpoints").iterdir()
    return load_file(path)


def largest_difference(one, two):
    ours, theirs = states(one), states(two)
    assert ours.keys() == theirs.keys()
    return max(
        (ours[name] - theirs[name]).abs().max().item() for name in ours if name != "state.json"
    )


def said(out, task):
    """Error, exit code and sentence of both processes."""
    return [json.loads((out / f"said-{rank}.json").read_text()).get(task) for rank in range(2)]


def test_two_processes_end_with_the_parameters_of_one(out, alone):
    assert largest_difference(out / "whole", alone) < 1e-6
    for name in ("samples.csv", "inputs.json", "split.csv"):
        assert (out / "whole" / name).read_bytes() == (alone / name).read_bytes()
    assert said(out, "whole") == [None, None]


def test_x(out, store, assignments, drawn, tmp_path):
    train_run(store, assignments, with_train(drawn, micro_batch=3), tmp_path / "run")
    print(largest_difference(out/"drawn", tmp_path/"run"))
    print(said(out, "stopped"), said(out, "finished"), said(out, "other_inputs"), said(out,"no_number"), said(out,"full_disk"), said(out,"out_of_memory"))
    assert 0


def test_y(out, alone):
    ours, theirs = states(out / "whole"), states(alone)
    d = {n: (ours[n]-theirs[n]).abs().max().item() for n in ours if n != "state.json"}
    for n, v in sorted(d.items(), key=lambda t: -t[1])[:15]:
        print(n, v, ours[n].abs().max().item())
    assert 0
