"""`evaluation.json`: the numbers of any table of predictions."""

from typing import ClassVar

from neoresponse.contracts.metrics import (
    BootstrapUsed,
    Counts,
    Decision,
    FlatEstimate,
    McNemar,
    NetBenefit,
    NetBenefitDifference,
    Numbers,
)
from neoresponse.contracts.record import FileRecord, Record


class ColumnMetrics(Numbers):
    """One column of probabilities, or of scores."""

    is_probability: bool
    note: str
    """Why the column is taken as scores, else empty."""
    counts: Counts | None
    """Null for scores without a threshold."""
    net_benefit: NetBenefit | None
    """At the threshold; null for scores, and at a threshold of 0 or 1."""
    decision: Decision | None
    """Null for scores."""


class AucDifference(FlatEstimate):
    """First AUC less the second, paired DeLong; an estimate with its test."""

    z: float | None
    p_value: float | None


class ColumnComparison(Record):
    """The first column less the second, for the same patients."""

    first: str
    second: str
    auc_difference: AucDifference
    mcnemar: McNemar | None
    net_benefit_difference: NetBenefitDifference | None


class TableEvaluation(FileRecord):
    """What `evaluate TABLE` computes."""

    SCHEMA: ClassVar[str] = "neoresponse.evaluation/1"
    FILE_NAME: ClassVar[str] = "evaluation.json"

    notes: tuple[str, ...] = ()
    """How the table was read, and what in it is doubtful."""
    num_rows: int
    num_left_out: int
    num_missing: dict[str, int]
    """Column -> rows in which nothing is known."""
    num_patients: int
    num_pcr: int
    confidence: float
    bootstrap: BootstrapUsed
    threshold: float
    threshold_note: str
    models: dict[str, ColumnMetrics]
    comparison: ColumnComparison | None
