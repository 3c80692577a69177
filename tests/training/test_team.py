"""Two real processes on one machine, held against one process alone."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from neoresponse.durable import sha256_of
from neoresponse.errors import RunError, Stopped
from neoresponse.models.trained import load_model
from neoresponse.settings import VarySettings
from neoresponse.settings.toml import to_toml
from neoresponse.training import loop
from neoresponse.training.outputs import predict_new
from neoresponse.training.predict import predict_patients
from neoresponse.training.run import train_run
from neoresponse.training.team import ALONE, Team, current_team, open_team

SCRIPT = Path(__file__).with_name("team_of_two.py")


def with_train(settings, **train):
    return settings.model_copy(update={"train": settings.train.model_copy(update=train)})


@pytest.fixture(scope="module")
def parts(tiny):
    """Steps of two parts, a smaller last one, and everything that is drawn or kept in a step."""
    model = tiny.model.model_copy(update={"pathways": ("us_0",), "drop_path": 0.3})
    settings = tiny.model_copy(update={"model": model})
    more = {"sampling": "weighted", "ema_decay": 0.9, "clip_norm": 1.0}
    vary = VarySettings(speckle=0.2)
    return with_train(settings, batch_size=10, micro_batch=5, vary=vary, **more)


@pytest.fixture(scope="module")
def uneven(tiny):
    """Nine samples a step: two processes cannot divide them evenly, nor does one in one part."""
    model = tiny.model.model_copy(update={"pathways": ("us_0",)})
    return with_train(tiny.model_copy(update={"model": model}), batch_size=9)


@pytest.fixture(scope="module")
def quick(tiny):
    """The head on clinical variables alone."""
    model = tiny.model.model_copy(update={"pathways": ()})
    return with_train(tiny.model_copy(update={"model": model}), batch_size=4, epochs=1)


def free_ports(num):
    """Ports that nobody listens at; all are held until the last is found."""
    with ExitStack() as held:
        found = [held.enter_context(socket.socket()) for _ in range(num)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in found]


def start_two(*words):
    """Run the script in two processes, with what torchrun would tell them; all must end well."""
    shared = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    shared |= {"OMP_NUM_THREADS": "1", "PORTS": " ".join(free_ports(4))}
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), *map(str, words)],
            env={**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    try:
        errors = [process.communicate(timeout=150)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0, 0], errors


@pytest.fixture(scope="module")
def out(tmp_path_factory, store, assignments, run, parts, uneven, quick):
    """What two processes leave after all tasks of the script."""
    out = tmp_path_factory.mktemp("team")
    for name, settings in (("parts", parts), ("uneven", uneven), ("quick", quick)):
        (out / f"{name}.toml").write_text(to_toml(settings))
    step, taken = loop._take_step, []

    def take(*args):
        taken.append(1)
        if len(taken) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_take_step", take)
        with pytest.raises(Stopped):
            train_run(store, assignments, parts, out / "half")
    start_two(store.folder, run, out)
    return out


@pytest.fixture(scope="module")
def alone(tmp_path_factory, store, assignments, parts):
    """The training in parts, by one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    train_run(store, assignments, parts, folder)
    return folder


def hashes(folder):
    return {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def said(out, task):
    """What ended a task: error, exit code and sentence, of both processes."""
    return [json.loads((out / f"said-{rank}.json").read_text()).get(task) for rank in range(2)]


QUIET = ["Followed", "another process of this training says why it ended"]


def test_two_processes_leave_the_bytes_of_one_that_takes_each_step_in_two_parts(out, alone):
    """Weights, moments, metrics; with dropped paths, speckle, an average, and a last batch of 4."""
    assert said(out, "parts") == [None, None]
    num_samples = len((alone / "samples.csv").read_text().splitlines()) - 1
    assert num_samples % 10 == 4, "the last batch leaves the second process nothing"
    assert hashes(out / "parts") == hashes(alone)


def test_at_another_division_parameters_agree_to_rounding(
    out, store, assignments, uneven, tmp_path
):
    """Adam makes steps of a share of 1e-3 even of gradients that are rounding alone."""
    train_run(store, assignments, uneven, tmp_path / "run")
    ours, theirs = (
        load_file(folder / "model" / "weights.safetensors")
        for folder in (out / "uneven", tmp_path / "run")
    )
    differences = {name: (ours[name] - theirs[name]).abs().max().item() for name in ours}
    assert max(differences.values()) < 1e-5
    assert np.median(list(differences.values())) < 1e-7


def test_a_step_of_fewer_samples_than_processes_is_the_step_of_one(
    out, store, assignments, quick, tmp_path
):
    train_run(store, assignments, with_train(quick, batch_size=1), tmp_path / "run")
    assert hashes(out / "lone") == hashes(tmp_path / "run")


def test_a_run_begun_by_one_process_is_ended_by_two(out, alone):
    assert hashes(out / "half") == hashes(alone)


def test_a_signal_to_one_process_stops_both_and_one_ends_the_run(
    out, alone, store, assignments, parts
):
    first, second = said(out, "stopped")
    assert first[:2] == ["Stopped", 143]
    assert first[2].startswith("SIGTERM in epoch 0 after 1 steps of it; all state is saved.")
    assert [second[0], second[2]] == QUIET
    assert second[1] == 143
    train_run(store, assignments, parts, out / "stopped")
    assert hashes(out / "stopped") == hashes(alone)


def test_patients_are_shared_and_probabilities_are_the_bytes_of_one(out, run, store):
    model = load_model(run, device="cpu")
    expected = [one.probability for one in predict_patients(model, store, None)]
    for rank in range(2):
        assert np.load(out / f"predicted-{rank}.npy").tolist() == expected


def test_an_error_of_the_first_process_ends_both_and_is_said_once(out):
    first, second = said(out, "finished")
    assert "expected a new folder, found a finished run" in first[2]
    assert [second[0], second[2]] == QUIET


def test_a_write_that_fails_ends_both(out):
    first, second = said(out, "cannot_write")
    assert "blocked/checkpoints: expected a folder, found a file" in first[2]
    assert [second[0], second[2]] == QUIET


def test_processes_with_other_inputs_are_refused_by_name(out):
    first, second = said(out, "other_inputs")
    assert [first[0], first[2]] == QUIET
    assert second[2].startswith(
        "process 1 of 2: expected the inputs of process 0, got another recipe. Give all machines"
    )


def test_a_loss_that_is_no_number_names_the_patient_whichever_process_held_it(out):
    first, second = said(out, "no_number")
    name = (out / "no-number.txt").read_text()
    assert f"expected a finite loss, got nan for patients {name}." in first[2]
    assert [second[0], second[2]] == QUIET
    assert not (out / "no-number" / "checkpoints").exists()


def test_a_process_that_ends_alone_says_why_and_the_first_says_that_one_did(out):
    first, second = said(out, "out_of_memory")
    assert first[2].startswith("process 0 of 2: expected all processes of this training to keep")
    assert second[2].startswith("train.batch_size: expected memory for 2 samples at once")


def test_all_processes_go_on_with_the_tensors_of_the_first(out):
    assert said(out, "taken_over") == [None, None]


@pytest.mark.slow
def test_the_command_trains_under_torchrun_and_says_so_once(store, run, quick, tmp_path):
    (tmp_path / "quick.toml").write_text(to_toml(quick))
    words = ["train", store.folder, run, tmp_path / "run", "--config", tmp_path / "quick.toml"]
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", *free_ports(1)]
    done = subprocess.run(
        [sys.executable, *map(str, ("-m", *launcher, "-m", "neoresponse", *words))],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 0 kept") == done.stdout.count("Wrote ") == 1
    assert (tmp_path / "run" / "run.json").is_file()


def test_the_command_predicts_with_two_processes_and_writes_once(out, run, store, tmp_path):
    predict_new(run, store, tmp_path)
    new = out / "new"
    assert sha256_of(new / "predictions.csv") == sha256_of(tmp_path / "predictions.csv")
    assert {path.name for path in new.iterdir()} >= {"predictions.json", ".neoresponse.json"}
    first, second = said(out, "predict")
    assert (first[0], first[1].count("Wrote "), first[2]) == (0, 1, "")
    assert second == [0, "", ""]


def test_the_command_says_an_error_once(out):
    first, second = said(out, "train")
    assert first[:2] == [1, ""]
    assert first[2].count("Error: ") == 1
    assert "found a finished run" in first[2]
    assert second == [1, "", ""]


@pytest.mark.parametrize(("size", "batch_size"), [(1, 16), (2, 16), (3, 16), (4, 2), (5, 7)])
def test_shares_are_a_batch_in_order(size, batch_size):
    shares = [Team(rank, size).share(batch_size) for rank in range(size)]
    assert [place for share in shares for place in share] == list(range(batch_size))
    assert max(map(len, shares)) == shares[0].stop == Team(0, size).largest_share(batch_size)


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with open_team() as team:
        assert team is current_team() is ALONE
        with pytest.raises(RunError), team.together():
            raise RunError("mine")
    assert not torch.distributed.is_initialized()


def test_more_processes_than_gpus_are_refused(monkeypatch):
    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(RunError, match="at most one process per GPU, 1 here, got 2"), open_team():
        pass


def test_a_process_that_nobody_started_beside_others_is_told_so(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(RunError, match="expected to reach the other processes"), open_team():
        pass
