"""One of two processes that train together; `test_team.py` starts both and reads what they leave.

    RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 PORTS="..." python team_of_two.py STORE SPLIT OUT

Reads settings from OUT/*.toml and goes on with OUT/half, a run that one process began. Tasks leave
files in OUT; what each process was told, if it failed, stands in OUT/said-RANK.json. Each team of
the two has a port of its own.
"""

import dataclasses
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from click.testing import CliRunner

from neoresponse.cli import main as command_line
from neoresponse.cohort.split import read_split
from neoresponse.errors import NeoresponseError
from neoresponse.models.build import build_model
from neoresponse.models.trained import load_model
from neoresponse.preprocess.store import open_store
from neoresponse.settings import RunSettings
from neoresponse.settings.toml import run_settings
from neoresponse.training import loop
from neoresponse.training.fit import fit_inputs
from neoresponse.training.loop import Place, train_network
from neoresponse.training.predict import predict_patients
from neoresponse.training.run import train_run
from neoresponse.training.team import Team, open_team

CPU = torch.device("cpu")


class Work:
    """What both processes do, one task after the other."""

    def __init__(self, team: Team, store: Path, run: Path, out: Path) -> None:
        self.team, self.out, self.run = team, out, run
        self.store, self.assignments = open_store(store), read_split(run)

    def settings(self, name: str, **train: object) -> RunSettings:
        settings = run_settings(str(self.out / f"{name}.toml"))
        return settings.model_copy(update={"train": settings.train.model_copy(update=train)})

    def train(self, settings: RunSettings, name: str) -> None:
        train_run(self.store, self.assignments, settings, self.out / name)

    def parts(self) -> None:
        self.train(self.settings("parts"), "parts")

    def uneven(self) -> None:
        self.train(self.settings("uneven"), "uneven")

    def lone(self) -> None:
        self.train(self.settings("quick", batch_size=1), "lone")

    def resumed(self) -> None:
        self.train(self.settings("parts"), "half")

    def stopped(self) -> None:
        with after_steps(1, lambda: os.kill(os.getpid(), signal.SIGTERM), rank=1):
            self.train(self.settings("parts"), "stopped")

    def finished(self) -> None:
        self.train(self.settings("parts"), "parts")

    def other_inputs(self) -> None:
        settings = self.settings("quick").model_copy(update={"seed": 5 + self.team.rank})
        self.train(settings, "other")

    def predicted(self) -> None:
        model = load_model(self.run, device="cpu")
        found = predict_patients(model, self.store, None)
        values = np.array([one.probability for one in found])
        np.save(self.out / f"predicted-{self.team.rank}.npy", values)

    def taken_over(self) -> None:
        tensors = [torch.full((2,), float(self.team.rank)), torch.tensor(self.team.rank + 7)]
        self.team.take_over(tensors)
        assert [tensor.sum().item() for tensor in tensors] == [0, 7]

    def no_number(self) -> None:
        """A patient without numbers, whose sample the second process holds."""
        settings = self.settings("quick")
        fitted = fit_inputs(self.store, self.assignments, settings, CPU)
        plan = loop.draw_plan(loop.drawn_from(fitted, settings), settings.train, epoch=0)
        (name,) = fitted.patient_ids(plan.chosen[3:4])
        (self.out / "no-number.txt").write_text(name)
        clinical = fitted.dataset.clinical.clone()
        clinical[self.store.row_of[name]] = float("nan")
        dataset = dataclasses.replace(
            fitted.dataset, clinical=clinical, is_known=torch.ones_like(fitted.dataset.is_known)
        )
        network = build_model(settings.model, image_px=settings.prepare.image_px)
        fitted = dataclasses.replace(fitted, dataset=dataset)
        train_network(network, fitted, settings, Place(self.out / "no-number"))

    def cannot_write(self) -> None:
        """The first process finds a file where its checkpoints should go."""
        with after_steps(1, lambda: (self.out / "blocked" / "checkpoints").write_text(""), rank=0):
            self.train(self.settings("quick"), "blocked")

    def out_of_memory(self) -> None:
        """The second process alone runs out of memory; the last task, for it parts the team."""
        with after_steps(1, raise_memory, rank=1):
            self.train(self.settings("quick"), "memory")


@contextmanager
def after_steps(num: int, call: Callable[[], None], *, rank: int) -> Iterator[None]:
    """Inside, one process does something after so many steps."""
    step, taken = loop._take_step, []

    def take(training, *args):
        result = step(training, *args)
        taken.append(1)
        if len(taken) == num and training.team.rank == rank:
            call()
        return result

    with mock.patch.object(loop, "_take_step", take):
        yield


def raise_memory() -> None:
    raise MemoryError


TASKS = (
    *("parts", "uneven", "lone", "resumed", "stopped", "finished", "other_inputs", "predicted"),
    *("taken_over", "no_number", "cannot_write"),
)


def main() -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    store, run, out = map(Path, sys.argv[1:])
    said: dict[str, list[object]] = {}
    ports = iter(os.environ["PORTS"].split())
    settings = ["--config", str(out / "quick.toml")]
    verbs = {
        "predict": ["predict", str(run), str(store), str(out / "new")],
        "train": ["train", str(store), str(run), str(out / "parts"), *settings],
    }

    def do(names: tuple[str, ...]) -> None:
        os.environ["MASTER_PORT"] = next(ports)
        with open_team() as team:
            work = Work(team, store, run, out)
            for name in names:
                try:
                    getattr(work, name)()
                except NeoresponseError as error:
                    said[name] = [type(error).__name__, error.exit_code, str(error)]

    do(TASKS)
    for name, words in verbs.items():
        os.environ["MASTER_PORT"] = next(ports)
        result = CliRunner().invoke(command_line, words)
        said[name] = [result.exit_code, result.stdout, result.stderr]
    do(("out_of_memory",))
    (out / f"said-{os.environ['RANK']}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
