"""`explain.json`: which heat maps a run has, and of whom."""

from typing import ClassVar, Literal

from neoresponse.contracts.record import FileRecord, Record


class HeatMap(Record):
    """One picture: an input, and the same with its heat."""

    input: str
    """biopsy, us_0 or us_1."""
    file: str
    """In the same folder."""


class ExplainedPatient(Record):
    """The heat maps of one patient."""

    patient_id: str
    cohort: str
    label: int | None
    probability: float
    toward: Literal["pcr", "residual"]
    """What the heat speaks for."""
    images: tuple[HeatMap, ...]


class Explanation(FileRecord):
    """All heat maps of one run."""

    SCHEMA: ClassVar[str] = "neoresponse.explain/1"
    FILE_NAME: ClassVar[str] = "explain.json"

    stage: int
    """Stage of the network whose map is weighed."""
    is_simulated: bool
    patients: tuple[ExplainedPatient, ...]
