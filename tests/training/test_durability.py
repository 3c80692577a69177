"""Stopped, killed, damaged, full: a training ends with the same bytes or says why it does not."""

import dataclasses
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from neoresponse import durable
from neoresponse.cli import main
from neoresponse.durable import only_one, sha256_of
from neoresponse.errors import RunError, Stopped
from neoresponse.models.build import build_model
from neoresponse.models.checkpoint import Checkpoints
from neoresponse.settings import VarySettings
from neoresponse.settings.toml import to_toml
from neoresponse.training import loop
from neoresponse.training.fit import fit_inputs
from neoresponse.training.loop import Place, train_network
from neoresponse.training.plan import draw_plan
from neoresponse.training.run import train_run
from neoresponse.training.stop import stop_on_signals

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "kill_training.py"


class Killed(Exception):
    pass


def hashes(folder):
    """Of everything that a training leaves; the last checkpoint holds optimiser and average."""
    return {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", "config.toml")
    }


@pytest.fixture(scope="module")
def quick(tiny):
    """The head on clinical variables alone, with every kind of state; milliseconds a step."""
    model = tiny.model.model_copy(update={"pathways": ()})
    train = tiny.train.model_copy(
        update={
            "batch_size": 4,
            "ema_decay": 0.9,
            "sampling": "weighted",
            "schedule": "cosine",
            "vary": VarySettings(speckle=0.2),
        }
    )
    return tiny.model_copy(update={"model": model, "train": train})


def saving(settings, every):
    return settings.model_copy(
        update={"train": settings.train.model_copy(update={"save_every_steps": every})}
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory, store, assignments, quick):
    """A training that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train_run(store, assignments, quick, folder)
    return hashes(folder)


def after_steps(patch, num, call):
    """Call something in the step after so many."""
    step, taken = loop._take_step, []

    def take(*args):
        if len(taken) == num:
            call()
        taken.append(1)
        return step(*args)

    patch.setattr(loop, "_take_step", take)


def raise_killed():
    raise Killed


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_saves_within_an_epoch_and_the_run_ends_with_the_same_bytes(
    whole, store, assignments, quick, tmp_path, monkeypatch, name
):
    number = getattr(signal, name)
    with monkeypatch.context() as patch:
        after_steps(patch, 1, lambda: os.kill(os.getpid(), number))
        with pytest.raises(Stopped, match=f"{name} in epoch 0 after 2 steps of it") as stopped:
            train_run(store, assignments, quick, tmp_path / "run")
    assert stopped.value.exit_code == 128 + number
    (saved,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert saved.name.startswith("00000-0000002-")
    train_run(store, assignments, quick, tmp_path / "run")
    assert hashes(tmp_path / "run") == whole


def test_a_signal_in_validation_waits_for_the_end_of_the_epoch(
    whole, store, assignments, quick, tmp_path, asked_in_validation
):
    with (
        asked_in_validation(),
        pytest.raises(Stopped, match="SIGTERM in epoch 1 after 0 steps of it"),
    ):
        train_run(store, assignments, quick, tmp_path / "run")
    train_run(store, assignments, quick, tmp_path / "run")
    assert hashes(tmp_path / "run") == whole


def test_the_command_says_so_and_ends_with_the_exit_code_of_the_signal(
    store, assignments, quick, run, tmp_path, monkeypatch
):
    after_steps(monkeypatch, 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    (tmp_path / "quick.toml").write_text(to_toml(quick))
    words = ["train", str(store.folder), str(run), str(tmp_path / "run")]
    result = CliRunner().invoke(main, [*words, "--config", str(tmp_path / "quick.toml")])
    assert result.exit_code == 143
    assert "Stopped: SIGTERM in epoch 0 after 2 steps of it; all state is saved." in result.output


def test_a_second_interrupt_no_longer_waits_and_signals_are_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.name == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == before


def test_in_another_thread_nothing_is_asked_for():
    found = []

    def work():
        with stop_on_signals() as stop:
            found.append(stop.name)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None]


@pytest.mark.parametrize("every", [1, 2])
def test_states_within_an_epoch_change_no_byte_and_are_gone_on_from(
    whole, store, assignments, quick, tmp_path, monkeypatch, every
):
    settings = saving(quick, every)
    with monkeypatch.context() as patch:
        after_steps(patch, 3, raise_killed)
        with pytest.raises(Killed):
            train_run(store, assignments, settings, tmp_path / "run")
    newest = max((tmp_path / "run" / "checkpoints").iterdir()).name
    assert newest.startswith(f"00000-000000{3 - 3 % every}-")
    train_run(store, assignments, settings, tmp_path / "run")
    assert hashes(tmp_path / "run") == whole


def test_what_other_generators_did_meanwhile_changes_no_byte(
    whole, store, assignments, quick, tmp_path, monkeypatch
):
    def disturb():
        torch.manual_seed(99)
        np.random.seed(99)
        random.seed(99)
        raise Killed

    with monkeypatch.context() as patch:
        after_steps(patch, 2, disturb)
        with pytest.raises(Killed):
            train_run(store, assignments, saving(quick, 1), tmp_path / "run")
    train_run(store, assignments, saving(quick, 1), tmp_path / "run")
    assert hashes(tmp_path / "run") == whole


@pytest.fixture
def stopped(store, assignments, quick, tmp_path):
    """A run that was killed with two states on disk."""
    with pytest.MonkeyPatch.context() as patch:
        after_steps(patch, 3, raise_killed)
        with pytest.raises(Killed):
            train_run(store, assignments, saving(quick, 1), tmp_path / "run")
    return tmp_path / "run"


def damage(path):
    path.write_bytes(path.read_bytes()[:-1] + b"\0\1")


def test_a_damaged_state_is_not_read_and_the_one_before_is_gone_on_from(
    whole, stopped, store, assignments, quick
):
    older, newest = sorted((stopped / "checkpoints").iterdir())
    damage(newest)
    with pytest.warns(UserWarning, match=rf"{newest.name}: expected the SHA-256.*{older.name}"):
        train_run(store, assignments, quick, stopped)
    assert hashes(stopped) == whole


def test_without_a_whole_state_training_stops_and_says_what_to_do(
    stopped, store, assignments, quick
):
    for path in (stopped / "checkpoints").iterdir():
        damage(path)
    with pytest.raises(RunError, match=r"no older one is whole: restore it, or run train again"):
        train_run(store, assignments, quick, stopped)


def test_a_state_of_another_run_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    Checkpoints(tmp_path, "one run").save({"a": torch.ones(1)}, {}, name="0")
    assert Checkpoints(tmp_path, "one run").load() is not None
    monkeypatch.setattr("neoresponse.models.checkpoint.load", lambda _: pytest.fail("parsed"))
    with pytest.raises(RunError, match="damaged or of another run"):
        Checkpoints(tmp_path, "another run").load()


def test_two_states_are_kept_while_training_and_one_after_it(stopped, store, assignments, quick):
    assert len(list((stopped / "checkpoints").iterdir())) == 2
    train_run(store, assignments, quick, stopped)
    assert len(list((stopped / "checkpoints").iterdir())) == 1


def test_what_a_killed_process_was_writing_is_removed_and_a_users_file_stays(
    whole, stopped, store, assignments, quick
):
    for name in ("metrics.csv", "shown/epoch-000.csv", "checkpoints/a"):
        durable.temporary(stopped / name).write_text("half")
    for name in ("thesis.part", "checkpoints/thesis.part"):
        (stopped / name).write_text("mine")
    train_run(store, assignments, quick, stopped)
    found = hashes(stopped)
    assert {name for name in found if name not in whole} == {
        "thesis.part",
        "checkpoints/thesis.part",
    }
    assert {name: value for name, value in found.items() if name in whole} == whole


def test_a_second_process_does_not_train_into_the_same_folder(
    stopped, store, assignments, quick, monkeypatch
):
    with only_one(stopped), pytest.raises(RunError, match="got one that is writing to it"):
        train_run(store, assignments, quick, stopped)


class Disk:
    """Fails one operation of all that write a file, counted from its start."""

    def __init__(self, patch, fails_at):
        self.count, self._fails_at = 0, fails_at
        for place, name in ((os, "fsync"), (Path, "replace"), (Path, "open")):
            patch.setattr(place, name, self._watched(getattr(place, name)))

    def _watched(self, call):
        def run(*args, **named):
            if call.__name__ == "open" and args[1:2] != ("wb",):
                return call(*args, **named)
            self.count += 1
            if self.count == self._fails_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return call(*args, **named)

        return run


def test_every_write_may_fail_and_what_was_there_before_stays(store, assignments, quick, tmp_path):
    """A disk that is full at the nth operation, for every n; then it is not, and all goes on."""
    train = saving(quick, 3).train.model_copy(update={"epochs": 1})
    settings = quick.model_copy(update={"train": train})
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, fails_at=0)
        train_run(store, assignments, settings, tmp_path / "counted")
    expected = hashes(tmp_path / "counted")
    assert disk.count > 50
    for n in range(1, disk.count + 1):
        folder = tmp_path / f"full-{n}"
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, fails_at=n)
            message = r"expected to write here, got No space left.*\d+ bytes needed, \d+ bytes free"
            with pytest.raises(RunError, match=message):
                train_run(store, assignments, settings, folder)
        assert not list(folder.rglob("*.part"))
        if not (folder / "run.json").exists():  # the last rename may be done, its sync not
            train_run(store, assignments, settings, folder)
        assert hashes(folder) == expected
        shutil.rmtree(folder)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/run: expected to write here, got Not a directory"):
        durable.make_folder(tmp_path / "file" / "run")


@pytest.fixture
def lone(store, assignments, quick):
    """Steps of one sample each, so that a message can name the one patient."""
    train = quick.train.model_copy(update={"batch_size": 1, "learning_rate": 0.01})
    settings = quick.model_copy(update={"train": train})
    return fit_inputs(store, assignments, settings, torch.device("cpu")), settings


def with_clinical(fitted, row, value):
    """The dataset with one patient's clinical values replaced."""
    clinical = fitted.dataset.clinical.clone()
    clinical[row] = value
    known = torch.ones_like(fitted.dataset.is_known)
    dataset = dataclasses.replace(fitted.dataset, clinical=clinical, is_known=known)
    return dataclasses.replace(fitted, dataset=dataset)


def build(settings):
    torch.manual_seed(1)
    return build_model(settings.model, image_px=settings.prepare.image_px)


def test_of_a_batch_only_the_patient_whose_loss_is_no_number_is_named(store, lone, tmp_path):
    fitted, settings = lone
    settings = settings.model_copy(
        update={"train": settings.train.model_copy(update={"batch_size": 8})}
    )
    row = int(fitted.samples.row[0])
    name = store.patients[row].patient_id
    with pytest.raises(RunError, match=rf"expected a finite loss, got nan for patients {name}\."):
        train_network(
            build(settings), with_clinical(fitted, row, float("nan")), settings, Place(tmp_path)
        )
    assert not (tmp_path / "checkpoints").exists()


def test_gradients_that_are_no_number_name_the_patient_and_nothing_is_saved(store, lone, tmp_path):
    fitted, settings = lone
    network, spoilt = build(settings), []

    def spoil(gradient):
        spoilt.append(len(spoilt))
        return gradient * float("inf") if len(spoilt) == 3 else gradient

    next(network.parameters()).register_hook(spoil)
    plan = draw_plan(loop.drawn_from(fitted, settings), settings.train, epoch=0)
    name = store.patients[fitted.samples.row[plan.chosen[2]]].patient_id
    with pytest.raises(RunError, match=rf"finite gradients, got a norm of (inf|nan) .* {name}\."):
        train_network(network, fitted, settings, Place(tmp_path))
    assert not (tmp_path / "checkpoints").exists()


def test_weights_that_are_no_number_are_never_saved(store, lone, tmp_path, monkeypatch):
    fitted, settings = lone
    network = build(settings)

    def spoil():
        next(network.parameters()).data.fill_(float("inf"))

    step, taken = loop._take_step, []

    def take(*args):
        result = step(*args)
        taken.append(1)
        if len(taken) == len(fitted.samples):
            spoil()
        return result

    monkeypatch.setattr(loop, "_take_step", take)
    monkeypatch.setattr(loop, "_validate", lambda *_: dict.fromkeys(NAMES, 0.5))
    with pytest.raises(
        RunError, match=r"expected finite numbers in weights/.* steps with patients"
    ):
        train_network(network, fitted, settings, Place(tmp_path))
    assert not (tmp_path / "checkpoints").exists()


NAMES = ("validation_loss", "validation_accuracy", "validation_auc")


@pytest.mark.slow
def test_trainings_killed_at_random_moments_end_as_if_undisturbed():
    """The small version of the benchmark; in a process of its own, because it forks."""
    words = [sys.executable, str(SCRIPT), "--trainings", "2", "--kills", "3"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "0 of 2 ended with other bytes than undisturbed" in done.stdout
