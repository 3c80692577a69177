"""`metrics.json`: every number of a study (docs/reference/predictions-and-metrics.md)."""

from typing import ClassVar

from neoresponse.contracts.record import FileRecord, Record
from neoresponse.types import Estimate

Points = tuple[float, ...]


class Counts(Record):
    """Patients by what they are called at the threshold and what they are."""

    tp: int
    """Called pCR, and pCR."""
    fp: int
    """Called pCR, and residual disease."""
    fn: int
    """Called residual disease, and pCR."""
    tn: int
    """Called residual disease, and residual disease."""


class Roc(Record):
    """One point per threshold; empty where a class is."""

    false_positive_rate: Points
    true_positive_rate: Points


class PrecisionRecall(Record):
    """One point per threshold; empty where a class is."""

    recall: Points
    precision: Points


class CalibrationBin(Record):
    """Patients of similar probability."""

    mean_probability: float
    observed: Estimate
    """Share with pCR, Wilson."""


class Calibration(Record):
    """Whether predicted probabilities agree with observed pCR rates."""

    slope: Estimate
    intercept: Estimate
    in_the_large: Estimate
    brier: Estimate
    reliability: Estimate
    resolution: Estimate
    uncertainty: Estimate
    within_bins: Estimate
    ece: Estimate
    ece_by_chance: Estimate
    num_without_log_odds: int
    """Patients with a probability of exactly 0 or 1, whom slope and intercept leave out."""
    num_certain_and_wrong: int
    """Those of them who had the other outcome."""
    curve: tuple[CalibrationBin, ...]


class Recalibrated(Record):
    """Calibration after a map that was fitted on validation patients; the AUC is unchanged."""

    slope: Estimate
    intercept: Estimate
    in_the_large: Estimate
    brier: Estimate
    ece: Estimate
    ece_by_chance: Estimate


class NetBenefit(Record):
    """What acting from one probability on is worth."""

    threshold: float
    net_benefit: Estimate
    against_treat_all: Estimate
    true_positives_per_100: Estimate
    false_positives_per_100: Estimate
    avoided_per_100: Estimate


class DecisionCurve(Record):
    """Net benefit over all thresholds; treating nobody is 0."""

    threshold: Points
    net_benefit: Points
    low: Points
    high: Points
    treat_all: Points
    method: str
    num_patients: int


class Decision(Record):
    """Decision curve, and the thresholds that one would act on."""

    curve: DecisionCurve
    at: tuple[NetBenefit, ...]


class Numbers(Record):
    """What is known of any column of probabilities."""

    auc: Estimate
    average_precision: Estimate
    accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    f1: Estimate
    mcc: Estimate
    calibration: Calibration
    roc: Roc
    precision_recall: PrecisionRecall


class GroupMetrics(Numbers):
    """One run in one group of patients."""

    num_patients: int
    """With a known outcome."""
    num_pcr: int
    num_without_label: int
    """Left out because their outcome is unknown."""
    counts: Counts
    recalibrated: dict[str, Recalibrated]
    """Of a test cohort: kind of map -> calibration after it."""
    decision: Decision


class RecalibrationMap(Record):
    """A map of probabilities, fitted on validation patients."""

    fitted: dict[str, float | Points] | None
    """Its numbers, or null."""
    note: str
    """Why there is none, else empty."""
    num_patients: int


class RunMetrics(Record):
    """One run."""

    threshold: float
    threshold_note: str
    """Empty, or why the threshold is special."""
    recalibration: dict[str, RecalibrationMap]
    cohorts: dict[str, GroupMetrics]
    """train, validation, each test cohort, and TC1+TC2 where both are there."""


class McNemar(Record):
    """Patients whom only one of two runs calls right, each at its own threshold."""

    num_only_first_right: int
    num_only_second_right: int
    num_patients: int
    p_value: float | None
    method: str


class FlatEstimate(Record):
    """An `Estimate` with its keys among those of the object that holds it."""

    value: float | None
    low: float | None
    high: float | None
    num_patients: int
    method: str
    confidence: float
    note: str


class NetBenefitDifference(FlatEstimate):
    """First less second, at one threshold; an estimate with its threshold."""

    threshold: float


class Combined(Record):
    """Reference model and network together against the reference model alone."""

    difference: Estimate
    p_value: float | None
    log_score: Estimate
    beyond: Estimate
    net_benefit_differences: tuple[NetBenefitDifference, ...]


class Comparison(Record):
    """A run less another run or reference model, on the same patients."""

    cohort: str
    run: str
    against: str
    difference: Estimate
    p_value: float | None
    p_adjusted: float | None = None
    """Holm, over all comparisons with the same `against`."""
    mcnemar: McNemar | None
    net_benefit_differences: tuple[NetBenefitDifference, ...]
    combined: Combined | None


class LikelihoodRatio(Record):
    """Whether a run's log odds add to those of a reference model among validation patients."""

    run: str
    against: str
    fitted_on: str
    num_patients: int
    statistic: float | None
    p_value: float | None
    p_adjusted: float | None = None
    method: str
    degrees: float | None
    note: str


class Test(Record):
    """The result of a test."""

    __test__ = False  # it tests no code
    statistic: float | None
    p_value: float | None
    method: str
    degrees: float | None
    note: str


class Level(Record):
    """One subgroup."""

    level: str
    num_patients: int
    num_pcr: int
    auc: Estimate


class SubgroupRow(Record):
    """One run and variable, in the main cohort."""

    run: str
    cohort: str
    variable: str
    num_unknown: int
    levels: tuple[Level, ...]
    interaction: Test
    """Cochran's Q that all levels have one AUC."""
    p_adjusted: float | None = None
    """Holm, over the variables of the run."""


class Limit(Record):
    """One run in one group of simulated patients, beside the best possible."""

    run: str
    cohort: str
    inputs: str
    """What the run sees, joined by `+`."""
    num_patients: int
    reached: Estimate
    best: Estimate
    gap: Estimate
    """reached - best, paired."""


class SeedSpread(Record):
    """AUC of one run in one group of patients, seed by seed."""

    run: str
    cohort: str
    auc: dict[str, float | None]
    mean: float | None
    deviation: float | None
    """Standard deviation, with n - 1."""
    lowest: float | None
    highest: float | None


class Contradiction(Record):
    """Numbers that cannot all be true: in a paper's tables, or in these very metrics."""

    table: str
    """Where it was found."""
    row: str
    """Model and cohort, or variable."""
    column: str
    """The columns that contradict each other, joined by `, `."""
    rule: str
    """Name of the rule, as in the manual."""
    printed: str
    possible: str
    """What could be."""
    sentence: str
    """All of it in words."""


class BootstrapUsed(Record):
    """How often patients were drawn again, and where the draws start."""

    replicates: int
    seed: int


class Metrics(FileRecord):
    """Every number of a study."""

    SCHEMA: ClassVar[str] = "neoresponse.metrics/3"
    FILE_NAME: ClassVar[str] = "metrics.json"
    EARLIER: ClassVar[dict[str, str]] = {
        "neoresponse.metrics/2": "Evaluate again with `neoresponse study` or `neoresponse "
        "evaluate`: nothing is trained."
    }

    is_simulated: bool
    cohort_name: str
    confidence: float
    bootstrap: BootstrapUsed
    threshold_rule: str
    threshold_rule_in_words: str
    decision_thresholds: Points
    run_order: tuple[str, ...]
    """Names of the runs in the order of the study, reference models last."""
    runs: dict[str, RunMetrics]
    comparisons: tuple[Comparison, ...]
    likelihood_ratios: tuple[LikelihoodRatio, ...]
    subgroups: tuple[SubgroupRow, ...] = ()
    limits: tuple[Limit, ...] = ()
    seeds: tuple[SeedSpread, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    training_patients: tuple[str, ...] = ()
    """Of a cohort from elsewhere: a sentence for each training patient that is found in it."""
