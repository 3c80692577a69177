"""What a study would do, without doing it: steps that are due, trainings, and those that are kept.

It walks the steps of `whole.py` with a ledger that only plans, so it cannot say anything else than
what a study does.
"""

from dataclasses import dataclass
from pathlib import Path

from neoresponse.cohort.dictionary import find_cohort
from neoresponse.errors import first_few
from neoresponse.folders import keep_apart
from neoresponse.settings import StudySettings
from neoresponse.study.kept import KeptTraining, kept_trainings
from neoresponse.study.ledger import Ledger
from neoresponse.study.place import PlannedTraining, Study
from neoresponse.study.whole import run_steps

MANY_KEYS = 5


@dataclass(frozen=True)
class Status:
    """How a study stands.

    Attributes:
        is_due: name of each step, in order -> whether it is due.
        trainings: what would become of each.
        kept: those that no setting wants at the moment.
    """

    is_due: dict[str, bool]
    trainings: list[PlannedTraining]
    kept: list[KeptTraining]

    @property
    def due(self) -> list[str]:
        """Names of the steps that are due."""
        return [name for name, is_due in self.is_due.items() if is_due]


def study_status(settings: StudySettings, folder: Path) -> Status:
    """Find out what a study would do; nothing is written.

    Args:
        settings: as for `run_study`.
        folder: the study folder; it may be absent.

    Returns:
        Steps behind one that is due count as due, though a result that comes out the same as before
        redoes nothing behind it.
    """
    keep_apart(folder, find_cohort(settings.cohort))
    study = Study(settings, Ledger(folder, only_plans=True))
    run_steps(study)
    return Status(study.ledger.is_due, study.planned, kept_trainings(folder))


def as_text(status: Status) -> str:
    """The status as a person reads it."""
    is_due = status.is_due
    lines = ["Steps", *(f"  {name}: {'due' if is_due[name] else 'done'}" for name in is_due)]
    lines += [
        "Trainings",
        *(f"  {training.name}: {training.state}" for training in status.trainings),
    ]
    if status.kept:
        lines += ["Kept trainings", *(f"  {_in_words(kept, status)}" for kept in status.kept)]
    return "\n".join(lines)


def _in_words(kept: KeptTraining, status: Status) -> str:
    """A kept training: where it lies, how large it is, and how it differs."""
    end = "finished" if kept.is_finished else "unfinished"
    return f"{kept.folder.name}: {end}, {kept.num_bytes / 1e6:.1f} MB, {_difference(kept, status)}"


def _difference(kept: KeptTraining, status: Status) -> str:
    """How a kept training differs from the one that the study wants now."""
    wanted = {training.name.replace(" ", "-"): training.inputs for training in status.trainings}
    if kept.inputs is None:
        return "its inputs cannot be read"
    if kept.name not in wanted:
        return "no longer part of the study"
    now = wanted[kept.name]
    if now is None:
        return "its current inputs are known only after earlier steps"
    keys = kept.inputs.differences(now)
    return f"differs in {first_few(keys, MANY_KEYS)}" if keys else "same inputs as now"
