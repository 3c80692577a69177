"""A study that is not yet done -> what its numbers will be able to show.

In: patients, prevalence and what one expects. Out: a `Plan` in which every number names its method,
and the same in words for a physician.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from neoresponse.cohort.split import largest_remainder
from neoresponse.errors import ConfigError
from neoresponse.stats.interval import hanley_mcneil_error, two_sided_z
from neoresponse.stats.planning import (
    chance_of_best,
    cox_snell_of_auc,
    difference_error,
    expected_best,
    paired_size,
)
from neoresponse.stats.proportion import clopper_pearson_interval, wilson_interval
from neoresponse.stats.samplesize import DevelopmentSize, development_size, validation_size_for_auc
from neoresponse.types import Estimate

NAMES = ("train", "validation", "test")
MAX_WIDTH = 0.1
"""A test cohort whose AUC has a wider 95% CI is called too small."""
NUM_FOLDS, NUM_REPEATS = 5, 10
HANLEY = "Hanley-McNeil 1982"


@dataclass(frozen=True)
class Assumptions:
    """What one expects before there is any result.

    Attributes:
        auc: of a good model.
        gain: difference in AUC that would matter.
        rate: sensitivity and specificity at the threshold.
        ratio: train, validation and test part of the split.
        num_models: compared on the same patients.
        correlation: between the AUCs of two models on the same patients, in [0, 1).
        num_parameters: candidate coefficients of a clinical model.
    """

    auc: float = 0.8
    gain: float = 0.05
    rate: float = 0.8
    ratio: Sequence[float] = (8, 1, 1)
    num_models: int = 6
    correlation: float = 0.5
    num_parameters: int = 4


@dataclass(frozen=True)
class PartPlan:
    """One part of the split, or all patients together.

    Attributes:
        auc: with its interval by Hanley and McNeil.
        sensitivity: the nearest that so many pCR patients allow, by Wilson and by Clopper-Pearson.
        specificity: the same of the residual patients.
        least_gain: smallest difference between two AUCs that is found with a power of 80%.
    """

    name: str
    num_patients: int
    num_pcr: int
    auc: Estimate
    sensitivity: tuple[Estimate, Estimate]
    specificity: tuple[Estimate, Estimate]
    least_gain: float | None

    @property
    def auc_width(self) -> float:
        """From end to end."""
        assert self.auc.low is not None
        assert self.auc.high is not None
        return self.auc.high - self.auc.low


@dataclass(frozen=True)
class Plan:
    """What a study of this size can show.

    Attributes:
        parts: train, validation and test part, then all patients.
        chance_of_best: that the best of equal models shows auc + gain or more in the test part.
        expected_best: AUC that the best of equal models shows there on average.
        paired_size: patients of a test part for a power of 80% to find `gain`.
        development: patients to make a clinical model with, by criterion.
        validation_size: patients of a test part for an AUC whose interval is `MAX_WIDTH` wide.
        sentences: what each part can and cannot show.
        recommendation: and the rule behind it.
    """

    assumptions: Assumptions
    parts: tuple[PartPlan, ...]
    chance_of_best: float
    expected_best: float
    paired_size: int
    development: DevelopmentSize
    validation_size: int
    sentences: tuple[str, ...]
    recommendation: str


def plan(num_patients: int, *, prevalence: float, assumptions: Assumptions | None = None) -> Plan:
    """Compute what a study will be able to show, before it is done.

    Args:
        num_patients: of the cohort that is split.
        prevalence: share with pCR, in (0, 1).
        assumptions: what one expects; the defaults where None.

    Raises:
        ConfigError: the numbers are impossible, or a part would lack a class.
    """
    expected = assumptions or Assumptions()
    _check(num_patients, prevalence, expected)
    num_pcr = round(num_patients * prevalence)
    sizes = largest_remainder(num_patients, expected.ratio)
    pcr = largest_remainder(num_pcr, sizes)
    names = [*NAMES, "all"]
    parts = tuple(
        _part(name, size, with_pcr, expected)
        for name, size, with_pcr in zip(names, (*sizes, num_patients), (*pcr, num_pcr), strict=True)
    )
    test = parts[2]
    error = _auc_error(expected.auc, test)
    return Plan(
        assumptions=expected,
        parts=parts,
        chance_of_best=chance_of_best(
            expected.auc + expected.gain,
            auc=expected.auc,
            error=error,
            num_models=expected.num_models,
            correlation=expected.correlation,
        ),
        expected_best=expected_best(
            auc=expected.auc,
            error=error,
            num_models=expected.num_models,
            correlation=expected.correlation,
        ),
        paired_size=paired_size(
            expected.auc,
            expected.auc + expected.gain,
            prevalence=prevalence,
            correlation=expected.correlation,
        ),
        development=development_size(
            cox_snell_of_auc(expected.auc, prevalence),
            num_parameters=expected.num_parameters,
            prevalence=prevalence,
        ),
        validation_size=validation_size_for_auc(
            expected.auc, prevalence=prevalence, width=MAX_WIDTH
        ),
        sentences=tuple(_sentence(part, expected) for part in parts[1:]),
        recommendation=_recommendation(test, parts[3]),
    )


def read_ratio(text: str) -> tuple[float, ...]:
    """Read "8:1:1".

    Raises:
        ConfigError: these are not numbers.
    """
    try:
        return tuple(float(part) for part in text.split(":"))
    except ValueError:
        raise ConfigError(f"ratio: expected three numbers such as 8:1:1, got {text!r}.") from None


def plan_as_text(planned: Plan) -> str:
    """The plan in words, one number a line, each with its method."""
    expected, test = planned.assumptions, planned.parts[2]
    lines = [
        f"Assumed: AUC {expected.auc:g}; sensitivity and specificity {expected.rate:g}; a "
        f"difference of {expected.gain:g} matters; {expected.num_models} models whose AUCs "
        f"correlate with {expected.correlation:g} on the same patients.",
        "",
        "What each group can show (95% CI)",
        *(line for part in planned.parts for line in _part_lines(part)),
        "",
        "What chance can show",
        f"  The best of {expected.num_models} equal models on {test.num_patients} test patients "
        f"shows an AUC of {expected.auc + expected.gain:.2f} or more with a probability of "
        f"{100 * planned.chance_of_best:.0f}%, and {planned.expected_best:.3f} on average, "
        f"although the true AUC of each is {expected.auc:g} (correlated normal estimates, "
        f"{HANLEY} error).",
        "",
        "How many patients are needed",
        f"  To find a difference of {expected.gain:g} between two AUCs of the same patients with a "
        f"power of 80%: {planned.paired_size} test patients (Hanley-McNeil 1983).",
        f"  For an AUC with a CI no wider than {MAX_WIDTH:g}: {planned.validation_size} test "
        "patients (Riley 2021, Newcombe's error).",
        f"  To develop a clinical model with {expected.num_parameters} coefficients: "
        f"{planned.development.num_patients} training patients (Riley 2020; shrinkage "
        f"{planned.development.for_shrinkage}, R2 {planned.development.for_r2}, overall risk "
        f"{planned.development.for_risk}). There is no such rule for a network; it needs more.",
        "",
        "In short",
        *(f"  {sentence}" for sentence in planned.sentences),
        "",
        f"Recommended: {planned.recommendation}",
    ]
    return "\n".join(lines)


def _check(num_patients: int, prevalence: float, expected: Assumptions) -> None:
    """Stop on what cannot be."""
    if not 0 < prevalence < 1:
        raise ConfigError(f"prevalence: expected a number in (0, 1), got {prevalence!r}.")
    if len(expected.ratio) != 3 or min(expected.ratio) <= 0:
        raise ConfigError(f"ratio: expected three numbers above 0, got {expected.ratio!r}.")
    if not 0.5 < expected.auc < expected.auc + expected.gain < 1:
        raise ConfigError(
            f"auc and gain: expected 0.5 < auc < auc + gain < 1, got {expected.auc!r} and "
            f"{expected.gain!r}."
        )
    if not 0 <= expected.correlation < 1 or expected.num_models < 1:
        raise ConfigError(
            "correlation and num_models: expected [0, 1) and at least 1, got "
            f"{expected.correlation!r} and {expected.num_models!r}."
        )
    smallest = min(largest_remainder(num_patients, expected.ratio))
    if smallest * min(prevalence, 1 - prevalence) < 1:
        raise ConfigError(
            f"num_patients: expected both classes in every part, got {smallest} patients in the "
            f"smallest part at a prevalence of {prevalence:g}. Use more patients or larger parts."
        )


def _part(name: str, num_patients: int, num_pcr: int, expected: Assumptions) -> PartPlan:
    """Intervals that so many patients give."""
    num_residual = num_patients - num_pcr
    error = hanley_mcneil_error(expected.auc, num_pcr, num_residual)
    half = two_sided_z(0.95) * error
    low, high = max(0.0, expected.auc - half), min(1.0, expected.auc + half)
    right = [round(expected.rate * num) for num in (num_pcr, num_residual)]
    return PartPlan(
        name=name,
        num_patients=num_patients,
        num_pcr=num_pcr,
        auc=Estimate(expected.auc, low, high, num_patients, HANLEY, 0.95),
        sensitivity=_two_intervals(right[0], num_pcr),
        specificity=_two_intervals(right[1], num_residual),
        least_gain=_least_gain(num_pcr, num_residual, expected),
    )


def _two_intervals(num_right: int, num: int) -> tuple[Estimate, Estimate]:
    """Wilson's and Clopper and Pearson's."""
    return wilson_interval(num_right, num), clopper_pearson_interval(num_right, num)


def _least_gain(num_pcr: int, num_residual: int, expected: Assumptions) -> float | None:
    """Smallest gain on `auc`, in steps of 0.01, with a power of 80%; None: not even to 0.99."""
    reach = two_sided_z(0.95) + two_sided_z(0.6)  # normal quantiles of 0.975 and of 0.8
    for step in range(1, round((0.99 - expected.auc) * 100) + 1):
        gain = step / 100
        error = difference_error(
            expected.auc,
            expected.auc + gain,
            num_pcr=num_pcr,
            num_residual=num_residual,
            correlation=expected.correlation,
        )
        if reach * error <= gain:
            return gain
    return None


def _auc_error(auc: float, group: PartPlan) -> float:
    """Standard error of an AUC in a part."""
    return hanley_mcneil_error(auc, group.num_pcr, group.num_patients - group.num_pcr)


def _part_lines(group: PartPlan) -> list[str]:
    """One part in four lines."""
    lines = [
        f"  {group.name}: {group.num_patients} patients, {group.num_pcr} with pCR",
        f"    AUC {_interval(group.auc)}, {group.auc_width:.2f} wide ({HANLEY})",
    ]
    for name, (wilson, exact) in (("SENS", group.sensitivity), ("SPEC", group.specificity)):
        lines.append(
            f"    {name} {_interval(wilson)} of {wilson.num_patients} (Wilson); "
            f"{_limits(exact)} (Clopper-Pearson)"
        )
    return lines


def _sentence(group: PartPlan, expected: Assumptions) -> str:
    """What a part can show, and what it cannot."""
    who = "All patients together" if group.name == "all" else f"The {group.name} group"
    assert group.auc.low is not None
    can = "can" if group.auc.low > 0.5 else "cannot even"
    finds = (
        f"differ by less than {group.least_gain:.2f}"
        if group.least_gain is not None
        else f"differ by up to {0.99 - expected.auc:.2f}"
    )
    return (
        f"{who} ({group.num_patients}) {can} tell an AUC of {expected.auc:g} from guessing, but "
        f"cannot narrow it down beyond {_limits(group.auc)}, nor rank two models that {finds}."
    )


def _recommendation(test: PartPlan, everybody: PartPlan) -> str:
    """One test part, or every patient tested in turn."""
    seen = f"gives an AUC with a CI {test.auc_width:.2f} wide (at most {MAX_WIDTH:g} is wanted)"
    if test.auc_width <= MAX_WIDTH:
        return (
            f"one fixed split; its test group {seen}. Name the one primary comparison beforehand."
        )
    advice = (
        f"repeated nested cross-validation, {NUM_FOLDS} folds and {NUM_REPEATS} repeats; network, "
        "threshold and epoch are chosen within each training fold, and all models are compared on "
        f"the same folds. A single test group {seen}; "
        f"tested in turn, all {everybody.num_patients} patients give {everybody.auc_width:.2f} or "
        "slightly more, because the folds share training patients."
    )
    if everybody.auc_width > MAX_WIDTH:
        advice += " That is still wide: no model should be called better than another here."
    return advice + " Name the one primary comparison beforehand."


def _interval(estimate: Estimate) -> str:
    """A value with its limits."""
    return f"{estimate.value:.2f} ({_limits(estimate)})"


def _limits(estimate: Estimate) -> str:
    """Two limits."""
    return f"{estimate.low:.2f} to {estimate.high:.2f}"
