"""`flow.json`: who was left out of a cohort, and why."""

from typing import ClassVar

from neoresponse.contracts.record import FileRecord, Record


class Reason(Record):
    """Why patients were left out; each counts once, under the first reason."""

    reason: str
    num_patients: int


class Outcomes(Record):
    """Patients by outcome; those without a label are in neither."""

    pcr: int
    residual: int


class Flow(FileRecord):
    """The numbers of a patient flow chart."""

    SCHEMA: ClassVar[str] = "neoresponse.flow/1"
    FILE_NAME: ClassVar[str] = "flow.json"

    cohort_name: str
    is_simulated: bool
    note: str
    """What `cohort.toml` says about the cohort."""
    num_rows: int
    """Of the patient table."""
    num_excluded: int
    num_included: int
    reasons: tuple[Reason, ...]
    counts: dict[str, Outcomes]
    """unifocal, multifocal -> their outcomes."""
    available: dict[str, int]
    """Input -> how many patients have it."""
