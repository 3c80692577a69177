"""Trainings that a study does not want at the moment: kept under the hash of their inputs.

In: a run folder and the inputs that it should have. Out: the folder with that run in it, where it
is here or was kept, or no folder. Nothing that was learnt is ever deleted here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from neoresponse.contracts.run import RunInputs, RunSummary, find_inputs
from neoresponse.durable import make_folder, only_one
from neoresponse.folders import first_free
from neoresponse.grid.child import WAIT_S
from neoresponse.study.ledger import Ledger

FOLDER = "kept"
OURS = (
    *("config.toml", RunInputs.FILE_NAME, "samples.csv", "split.csv", "split.json", "metrics.csv"),
    *("progress.svg", "predictions.csv", "predictions.json", "characteristics.csv"),
    *("*_floor.csv", "*.part", ".lock"),
)
"""Files of a run folder that cost no training."""
_MARK = re.compile(r"-([0-9a-f]{12}|unknown)(-\d+)?$")


@dataclass(frozen=True)
class KeptTraining:
    """A training in `kept/`.

    Attributes:
        folder: where it lies.
        inputs: what it was trained from; None where that cannot be read.
        is_finished: whether it was trained to its end.
        num_bytes: what it takes on disk.
    """

    folder: Path
    inputs: RunInputs | None
    is_finished: bool
    num_bytes: int

    @property
    def name(self) -> str:
        """Of the run."""
        return _MARK.sub("", self.folder.name)


def kept_trainings(study: Path) -> list[KeptTraining]:
    """All trainings that a study folder keeps, by name."""
    folders = sorted(path for path in (study / FOLDER).glob("*") if path.is_dir())
    return [
        KeptTraining(
            folder,
            find_inputs(folder),
            is_finished=(folder / RunSummary.FILE_NAME).is_file(),
            num_bytes=sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()),
        )
        for folder in folders
    ]


def find_kept(study: Path, wanted: RunInputs) -> Path | None:
    """The kept training with these inputs, a finished one first."""
    paths = sorted((study / FOLDER).glob(f"*-{wanted.identity[:12]}*"))
    same = [path for path in paths if find_inputs(path) == wanted]
    return max(same, key=lambda path: (path / RunSummary.FILE_NAME).is_file(), default=None)


def has_learnt(run: Path) -> bool:
    """Whether a folder holds anything that a training cost."""
    marks = (RunSummary.FILE_NAME, "model/*", "checkpoints/*")
    return any(next(run.glob(mark), None) is not None for mark in marks)


def put_aside(ledger: Ledger, run: Path, name: str) -> None:
    """Make way for another run: what was learnt moves to `kept/`, our other files go.

    Args:
        ledger: of the study.
        run: the run folder.
        name: of the training, as steps of the study are called by it.
    """
    if not run.is_dir():
        return
    with only_one(run, wait_s=WAIT_S):
        pass  # nobody writes there any more: the study is ours, and so are its trainings
    if not has_learnt(run):
        for path in {path for pattern in OURS for path in run.glob(pattern)}:
            path.unlink(missing_ok=True)
        return
    inputs = find_inputs(run)
    mark = "unknown" if inputs is None else inputs.identity[:12]
    aside = first_free(_names(ledger.folder / FOLDER / f"{name.replace(' ', '-')}-{mark}"))
    make_folder(aside.parent)
    for what in ("train", "predict"):
        ledger.rename(f"{what} {name}", f"{FOLDER} {aside.name} {what}")
    run.rename(aside)
    ledger.say(f"train {name}: training with other inputs moved to {FOLDER}/{aside.name}")


def bring_back(ledger: Ledger, wanted: RunInputs, run: Path, name: str) -> None:
    """Put the kept training with these inputs, where there is one, into its place, which is free.

    Args:
        ledger: of the study.
        wanted: its inputs.
        run: the run folder, absent or empty.
        name: of the training, as steps of the study are called by it.
    """
    kept = find_kept(ledger.folder, wanted)
    if kept is None or (run.is_dir() and any(run.iterdir())):
        return
    make_folder(run)
    run.rmdir()
    kept.rename(run)
    for what in ("train", "predict"):
        ledger.rename(f"{FOLDER} {kept.name} {what}", f"{what} {name}")
    ledger.say(f"train {name}: came back from {FOLDER}/{kept.name}")


def _names(folder: Path) -> Iterator[Path]:
    """A folder, then the same with -2, -3 and so on."""
    yield folder
    yield from (folder.with_name(f"{folder.name}-{number}") for number in count(2))
