"""A study and its folder: what every step needs."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from neoresponse.cohort.split import Assignment, read_split
from neoresponse.cohort.validate import CheckedCohort, check_cohort, raise_on_stop
from neoresponse.folders import new_folder
from neoresponse.grid.watch import Watch, unwatched
from neoresponse.settings import StudySettings
from neoresponse.study.ledger import Ledger
from neoresponse.types import Track, untracked


@dataclass(frozen=True)
class Study:
    """A study and its folder.

    Attributes:
        settings: the study.
        ledger: which of its steps are done.
        track: shows progress within a step.
        watch: shows trainings under way.
        failures: name of each job that failed -> why.
    """

    settings: StudySettings
    ledger: Ledger
    track: Track = untracked
    watch: Watch = unwatched
    failures: dict[str, str] = field(default_factory=dict)

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
    def assignments(self) -> tuple[Assignment, ...]:
        """The split."""
        return read_split(self.folder / "split")


def fresh_folder(folder: Path, mark: str) -> AbstractContextManager[Path]:
    """`new_folder` in place of what a step left earlier, which is made again and not kept."""
    return new_folder(folder, mark=mark, force=True, keep_old=False)
