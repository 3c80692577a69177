"""One of two processes that train together; `test_team.py` starts both and reads what they leave.

    RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=... python team_of_two.py STORE SPLIT OUT

Reads settings from OUT/*.toml and OUT/half, a run that one process began. Each of the tasks below
leaves files in OUT, and what its process said, in OUT/said-RANK.json.
"""

import dataclasses
import json
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

from neoresponse.cohort.split import read_split
from neoresponse.config import RunSettings
from neoresponse.errors import NeoresponseError
from neoresponse.models.build import build_model
from neoresponse.models.trained import load_model
from neoresponse.preprocess.store import open_store
from neoresponse.settings_file import run_settings
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

    def whole(self) -> None:
        self.train(self.settings("plain"), "whole")

    def drawn(self) -> None:
        self.train(self.settings("drawn"), "drawn")

    def lone(self) -> None:
        self.train(self.settings("plain", batch_size=1, epochs=1), "lone")

    def resumed(self) -> None:
        self.train(self.settings("plain"), "half")

    def stopped(self) -> None:
        def ask() -> None:
            if self.team.rank == 1:
                os.kill(os.getpid(), signal.SIGTERM)

        with after_steps(1, ask):
            self.train(self.settings("plain"), "stopped")

    def finished(self) -> None:
        self.train(self.settings("plain"), "whole")

    def other_inputs(self) -> None:
        settings = self.settings("plain").model_copy(update={"seed": 5 + self.team.rank})
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
        settings = self.settings("plain", batch_size=4)
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

    def full_disk(self) -> None:
        """The first process cannot write its checkpoints."""
        if self.team.is_first:
            (self.out / "full").mkdir()
            (self.out / "full" / "inputs.json").symlink_to(self.out / "whole" / "inputs.json")
            (self.out / "full" / "checkpoints").write_text("")
        self.train(self.settings("plain"), "full")

    def out_of_memory(self) -> None:
        """The second process alone runs out of memory; the last task, for it parts the team."""

        def fail() -> None:
            if self.team.rank == 1:
                raise MemoryError

        with after_steps(1, fail):
            self.train(self.settings("plain"), "memory")


class after_steps:
    """Inside, something is done after so many steps."""

    def __init__(self, num: int, call) -> None:
        self._num, self._call, self._step = num, call, loop._take_step

    def __enter__(self) -> None:
        taken = []

        def take(*args):
            result = self._step(*args)
            taken.append(1)
            if len(taken) == self._num:
                self._call()
            return result

        loop._take_step = take

    def __exit__(self, *_) -> None:
        loop._take_step = self._step


TASKS = (
    *("whole", "drawn", "lone", "resumed", "stopped", "finished", "other_inputs", "predicted"),
    *("taken_over", "no_number", "full_disk", "out_of_memory"),
)


def main() -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    store, run, out = map(Path, sys.argv[1:])
    said = {}
    with open_team() as team:
        work = Work(team, store, run, out)
        for name in TASKS:
            try:
                getattr(work, name)()
            except NeoresponseError as error:
                said[name] = [type(error).__name__, error.exit_code, str(error)]
            (out / f"said-{team.rank}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
