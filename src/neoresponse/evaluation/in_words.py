"""What `evaluate_table` found, as a table to be read on a terminal."""

from collections.abc import Iterator

from neoresponse.contracts.evaluation import ColumnMetrics, TableEvaluation
from neoresponse.contracts.groups import TOO_FEW, are_too_few
from neoresponse.contracts.metrics import Calibration, FlatEstimate
from neoresponse.types import Estimate

AnyEstimate = Estimate | FlatEstimate
ORDER = {"auc": "AUC", "average_precision": "average precision"}
CALLS = {
    **{"sensitivity": "SENS", "specificity": "SPEC", "ppv": "PPV", "npv": "NPV"},
    **{"accuracy": "ACC", "f1": "F1", "mcc": "MCC"},
}
WORDS = {
    "slope": "slope (ideal 1)",
    "intercept": "intercept (ideal 0)",
    "in_the_large": "in the large (ideal 0)",
    "brier": "Brier score",
    "ece": "ECE",
    "ece_by_chance": "ECE expected by chance",
}
PARTS = {
    "reliability": "reliability",
    "resolution": "resolution",
    "uncertainty": "uncertainty",
    "within_bins": "within bins",
}
PER_100 = {
    "net_benefit": "net benefit",
    "against_treat_all": "minus treat all",
    "true_positives_per_100": "correctly called pCR, per 100",
    "false_positives_per_100": "wrongly called pCR, per 100",
}


def evaluation_as_text(table: TableEvaluation) -> str:
    """All numbers in words, with the methods behind the intervals at the end."""
    return "\n".join([*_head(table), *_models(table), *_comparison(table), *_methods(table)])


def _head(table: TableEvaluation) -> Iterator[str]:
    """Who they are, and who was left out."""
    share = 100 * table.num_pcr / table.num_patients
    yield f"{table.num_patients} patients, {table.num_pcr} with pCR ({share:.0f}%)"
    missing = [f"{num} without {name}" for name, num in table.num_missing.items() if num]
    lost = f": {', '.join(missing)}" if missing else ""
    yield from table.notes
    yield f"{table.num_left_out} of {table.num_rows} rows left out{lost}"
    if are_too_few(table.num_patients, table.num_pcr):
        yield TOO_FEW.capitalize()
    yield f"{100 * table.confidence:g}% CIs in brackets"


def _models(table: TableEvaluation) -> Iterator[str]:
    """One block per column of probabilities."""
    for name, model in table.models.items():
        yield f"\n{name}"
        if model.note:
            yield f"  {model.note}"
        yield from (_line(word, getattr(model, key)) for key, word in ORDER.items())
        if model.counts is not None:
            yield f"  at the threshold {table.threshold:g} ({table.threshold_note}):"
            yield from _calls(model)
        if model.is_probability:
            yield "  calibration:"
            yield from _without_log_odds(model.calibration)
            for key, word in WORDS.items():
                yield _line(word, getattr(model.calibration, key), indent=4)
            yield from _brier_parts(model.calibration)


def _calls(model: ColumnMetrics) -> Iterator[str]:
    """Counts, rates and net benefit at the threshold."""
    counts = model.counts or ()
    yield "    " + ", ".join(f"{key.upper()} {num}" for key, num in counts)
    yield from (_line(word, getattr(model, key), indent=4) for key, word in CALLS.items())
    if model.net_benefit is not None:
        for key, word in PER_100.items():
            yield _line(word, getattr(model.net_benefit, key), indent=4)


def _without_log_odds(calibration: Calibration) -> Iterator[str]:
    """Who is missing from slope, intercept and calibration in the large."""
    num = calibration.num_without_log_odds
    if num:
        rest = calibration.slope.num_patients
        yield (
            f"    slope, intercept and in the large: {rest} of {rest + num} patients; {num} with a "
            "probability of exactly 0 or 1 left out (no log odds)"
        )
        wrong = calibration.num_certain_and_wrong
        if wrong:
            yield f"    {wrong} of these {num} had the other outcome: the worst errors are missing"


def _brier_parts(calibration: Calibration) -> Iterator[str]:
    """The Brier score taken apart, in one line."""
    parts = {word: getattr(calibration, key).value for key, word in PARTS.items()}
    if None not in parts.values():
        listed = ", ".join(f"{word} {value:.3f}" for word, value in parts.items())
        yield f"    Brier = reliability - resolution + uncertainty + within bins: {listed}"


def _comparison(table: TableEvaluation) -> Iterator[str]:
    """The first column less the second."""
    pair = table.comparison
    if pair is None:
        return
    if are_too_few(table.num_patients, table.num_pcr):
        yield f"\n{pair.first} and {pair.second} are not compared: {TOO_FEW}"
        return
    yield f"\n{pair.first} minus {pair.second}, same patients"
    difference = pair.auc_difference
    yield f"{_line('AUC', difference)}{_p(difference.p_value)}"
    if pair.mcnemar is not None:
        test = pair.mcnemar
        yield (
            f"  correct at {table.threshold:g}: only {pair.first} in "
            f"{test.num_only_first_right}, only {pair.second} in "
            f"{test.num_only_second_right} patients{_p(test.p_value)}, {test.method}"
        )
    if pair.net_benefit_difference is not None:
        yield _line(f"net benefit at {table.threshold:g}", pair.net_benefit_difference)


def _methods(table: TableEvaluation) -> Iterator[str]:
    """How the intervals were made."""
    model = next(iter(table.models.values()))
    shown = {
        "AUC": model.auc,
        "average precision": model.average_precision,
        "rates": model.accuracy,
        "F1, MCC": model.f1,
        "calibration": model.calibration.slope,
        "Brier score": model.calibration.brier,
    }
    methods = [f"{word} {one.method}" for word, one in shown.items() if one.method != "none"]
    yield f"\nCIs: {'; '.join(methods)}."
    yield "For research use only. Not a medical device."


def _line(word: str, estimate: AnyEstimate, *, indent: int = 2) -> str:
    """A number, its interval, and what is to be said about it."""
    left = f"{' ' * indent}{word}".ljust(32)
    note = f"  {estimate.note}" if estimate.note else ""
    if estimate.value is None:
        return f"{left}–{note}"
    if estimate.low is None:
        return f"{left}{estimate.value:.3f}{note}"
    interval = f"[{estimate.low:.3f}, {estimate.high:.3f}]"
    return f"{left}{estimate.value:.3f}  {interval}{note}"


def _p(value: float | None) -> str:
    """A P value behind a number."""
    if value is None:
        return ""
    return ", P < 0.001" if value < 0.001 else f", P = {value:.3f}"
