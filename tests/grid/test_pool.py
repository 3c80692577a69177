import json
import threading
import time
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import pytest

from neoresponse.cohort.split import write_split
from neoresponse.errors import RunError
from neoresponse.grid import pool
from neoresponse.grid.job import training_job
from neoresponse.grid.pool import open_pool, work
from neoresponse.grid.workers import Workers


@pytest.fixture
def job(store, assignments, tiny, tmp_path):
    """A training of many short epochs."""
    train = tiny.train.model_copy(update={"epochs": 8})
    settings = tiny.model_copy(update={"train": train})
    (tmp_path / "split").mkdir()
    write_split(tmp_path / "split", assignments, settings.train.augment, seed=settings.seed)
    places = {"prepared": store.folder, "split": tmp_path / "split", "run": tmp_path / "run"}
    return training_job("one", settings, places, is_trained=False)


def epochs(run):
    """The numbers of each epoch, but for which is kept in the end."""
    lines = (run / "metrics.csv").read_text().splitlines()[1:]
    return [line.rpartition(",")[0] for line in lines]


def test_an_error_of_a_job_comes_back_as_its_sentence(tmp_path):
    content = {"do": "predict", "prepared": "nowhere", "run": "r", "out": str(tmp_path / "o")}
    (tmp_path / "sign").touch()
    code, sentence = work(json.dumps(content), str(tmp_path / "sign"))
    assert code == 1
    assert "expected" in sentence
    assert "Traceback" not in sentence


def test_a_job_that_crashes_comes_back_with_its_last_line(tmp_path):
    (tmp_path / "sign").touch()
    code, sentence = work("no JSON", str(tmp_path / "sign"))
    assert code == 1
    assert "the training process failed with exit code 1" in sentence
    assert "JSONDecodeError" in sentence


def test_a_job_stops_with_its_state_saved_when_nobody_waits_any_more(job, tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "UNWATCHED_S", 1e9)  # the sign goes; its age is not at issue
    sign = tmp_path / "sign"
    sign.touch()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(work(job.text, str(sign), 1)))
    thread.start()
    deadline = time.monotonic() + 240  # the machine may be busy
    while not (job.run / "metrics.csv").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    sign.unlink()
    thread.join(240)
    code, sentence = answers[0]
    assert code == 143
    assert "all state is saved" in sentence
    assert not (job.run / "run.json").exists()
    before = epochs(job.run)
    assert 0 < len(before) < 8
    sign.touch()
    assert work(job.text, str(sign), 1) == (0, "")
    assert len(epochs(job.run)) == 8
    assert epochs(job.run)[: len(before)] == before
    assert (job.run / "predictions.csv").is_file()


def test_an_address_without_a_scheduler_is_said_in_one_sentence(tmp_path):
    with (
        pytest.raises(RunError, match=r"compute\.scheduler: expected a Dask scheduler"),
        open_pool(tmp_path, None, "tcp://127.0.0.1:9"),
    ):
        pass


def test_a_job_that_is_killed_says_so(job, tmp_path, monkeypatch):
    (tmp_path / "sign").touch()
    monkeypatch.setattr(pool, "_wait", lambda child, _sign: (child.kill(), child.wait()))
    code, sentence = work(job.text, str(tmp_path / "sign"))
    assert code == -9
    assert "was killed, probably out of memory" in sentence


def test_on_one_machine_nothing_can_be_reached_from_elsewhere_or_shows_anything(tmp_path):
    with open_pool(tmp_path, Workers(2, 1), None):
        found = psutil.Process().net_connections(kind="inet")
        listening = [one.laddr for one in found if one.status == psutil.CONN_LISTEN]
        assert all(address.ip == "127.0.0.1" for address in listening)
        for address in listening:
            with pytest.raises(HTTPError, match="404"):
                urlopen(f"http://127.0.0.1:{address.port}/info/main/workers.html", timeout=5)
