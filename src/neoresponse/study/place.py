"""A study and its folder: what every step needs."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from neoresponse.cohort.split import Assignment, read_split
from neoresponse.cohort.validate import CheckedCohort, check_cohort, raise_on_stop
from neoresponse.contracts.reference_models import FOLDER as REFERENCE
from neoresponse.contracts.run import RunInputs
from neoresponse.folders import new_folder
from neoresponse.grid.watch import Watch, unwatched
from neoresponse.settings import StudySettings
from neoresponse.study.ledger import Ledger
from neoresponse.types import Track, untracked


@dataclass(frozen=True)
class PlannedTraining:
    """A training of a study that is only looked at.

    Attributes:
        name: of the training.
        state: in words.
        inputs: that it should have; None where they are not known yet.
    """

    name: str
    state: str
    inputs: RunInputs | None


@dataclass(frozen=True)
class Study:
    """A study and its folder.

    Attributes:
        settings: the study.
        ledger: which of its steps are done.
        track: shows progress within a step.
        watch: shows trainings under way.
        failures: name of each job that failed -> why.
        planned: its trainings, where nothing is done and only plans are made.
    """

    settings: StudySettings
    ledger: Ledger
    track: Track = untracked
    watch: Watch = unwatched
    failures: dict[str, str] = field(default_factory=dict)
    planned: list[PlannedTraining] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The study folder."""
        return self.ledger.folder

    @property
    def prepared(self) -> Path:
        """The prepared store."""
        return self.folder / "prepared"

    @cached_property
    def checked(self) -> CheckedCohort:
        """The cohort, checked once, when the first step needs it."""
        checked = check_cohort(self.settings.cohort, track=self.track)
        raise_on_stop(checked)
        return checked

    @property
    def reference(self) -> Path:
        """The reference models of the split."""
        return self.folder / REFERENCE

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """The split."""
        return read_split(self.folder / "split")


def fresh_folder(folder: Path, mark: str) -> AbstractContextManager[Path]:
    """`new_folder` in place of what a step left earlier, which is made again and not kept."""
    return new_folder(folder, mark=mark, force=True, keep_old=False)
