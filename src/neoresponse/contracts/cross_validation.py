"""`cross-validation.json`: the numbers of a cross-validation."""

from typing import ClassVar

from pydantic import Field

from neoresponse.contracts.record import FileRecord, Record
from neoresponse.types import Estimate


class FoldAuc(Record):
    """AUC of the patients that one fold tests."""

    repeat: int
    fold: int
    auc: float | None


class OutOfFoldMetrics(Record):
    """One run over all folds."""

    auc: Estimate
    """From pairs inside a fold only."""
    by_fold: tuple[FoldAuc, ...]
    deviation_over_folds: float | None


class OutOfFoldComparison(Record):
    """A run less a reference model, over the same folds."""

    run: str
    against: str
    difference: Estimate
    p_value: float | None


class CrossValidation(FileRecord):
    """The numbers of a cross-validation."""

    SCHEMA: ClassVar[str] = "neoresponse.cross-validation/2"
    FILE_NAME: ClassVar[str] = "cross-validation.json"

    is_simulated: bool
    cohort_name: str
    confidence: float
    num_patients: int
    num_pcr: int
    num_repeats: int
    num_folds: int
    num_inner_folds: int = 0
    """Of what a fold trains on, where a run is chosen inside it; else 0."""
    run_order: tuple[str, ...]
    runs: dict[str, OutOfFoldMetrics]
    comparisons: tuple[OutOfFoldComparison, ...]
    times_chosen: dict[str, int] = Field(default_factory=dict)
    """Run -> in how many folds it was chosen."""
