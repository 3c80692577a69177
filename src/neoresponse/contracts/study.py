"""What a study writes down: `study.json`, the steps that are done, and `cohort-files.json`.

Their reference is docs/reference/study-folder.md.
"""

from typing import ClassVar

from neoresponse.contracts.record import FileRecord, Record

Stamp = tuple[int, int, str]
"""Size in bytes, time of change in ns, SHA-256."""
Stamps = dict[str, Stamp]
"""File name -> its stamp."""


class DoneStep(Record):
    """A step that was done."""

    key: str
    """One hash over software, name and inputs."""
    files: Stamps
    """The files that it made."""


class StudyRecord(FileRecord):
    """`study.json`."""

    SCHEMA: ClassVar[str] = "neoresponse.study/1"
    FILE_NAME: ClassVar[str] = "study.json"

    steps: dict[str, DoneStep]
    """Name of a step -> what it did."""


class CohortFiles(FileRecord):
    """`cohort-files.json`."""

    SCHEMA: ClassVar[str] = "neoresponse.cohort-files/1"
    FILE_NAME: ClassVar[str] = "cohort-files.json"

    files: Stamps
    """SHA-256 of a file's path, for it may name a patient -> the file's stamp."""
