"""Predictions under negative controls -> whether each behaves as expected.

What must hold follows from what a control leaves of the patient. With nothing left the AUC is one
half; with something left it is no better than with the true inputs and, on a phantom, no better
than the best possible from what is left. Fewer than ten patients of an outcome tell nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neoresponse.contracts.controls import ControlFile, Controls, Verdict
from neoresponse.contracts.groups import are_too_few
from neoresponse.contracts.predictions import Prediction, read_predictions
from neoresponse.contracts.record import read_record
from neoresponse.errors import RunError
from neoresponse.evaluation.limit import Oracle
from neoresponse.stats import delong_interval, paired_delong
from neoresponse.types import Estimate, FloatArray, IntArray, Modality

TRUE_INPUTS = "true inputs"
JUDGED = 0.995
"""Coverage of the intervals that verdicts rest on: ten are looked at together."""
FINE, NOT_FINE, OPEN = "as expected", "NOT AS EXPECTED", "cannot tell"


@dataclass(frozen=True)
class _Seen:
    """Labels and probabilities of one control, and those to hold them against."""

    control: ControlFile
    label: IntArray
    probability: FloatArray
    true_label: IntArray
    true_probability: FloatArray
    best: FloatArray | None


def judge_controls(folder: Path, oracle: Oracle | None = None) -> tuple[Verdict, ...]:
    """Judge every control that was predicted.

    Args:
        folder: with `controls.json` and predictions.
        oracle: of the phantom that the patients come from, where they do.

    Raises:
        RunError: a file is missing or broken.
    """
    records = read_record(folder, Controls).controls
    rows = {one.name: read_predictions(folder / one.file) for one in records}
    if TRUE_INPUTS not in rows:
        raise RunError(f"{folder}: expected predictions with true inputs, got none. Predict again.")
    true_label, true_probability = _arrays(rows[TRUE_INPUTS])
    verdicts = []
    for record in records:
        if record.name == TRUE_INPUTS:
            continue
        best = _best(rows[record.name], record.left, oracle)
        arrays = _arrays(rows[record.name])
        verdicts.append(_judged(_Seen(record, *arrays, true_label, true_probability, best)))
    return tuple(verdicts)


def true_auc(folder: Path) -> Estimate:
    """AUC with the true inputs, for the head of the table."""
    records = read_record(folder, Controls).controls
    (record,) = [one for one in records if one.name == TRUE_INPUTS]
    return delong_interval(*_arrays(read_predictions(folder / record.file)), scale="logit")


def as_text(verdicts: Sequence[Verdict], true: Estimate, *, is_simulated: bool) -> str:
    """One line per control, with 95% CIs."""
    lines = ["SIMULATED patients"] if is_simulated else []
    lines += [f"true inputs: AUC {_shown(true)}, n {true.num_patients}, {true.method}", ""]
    for verdict in verdicts:
        lines.append(
            f"{verdict.verdict:15} {verdict.name}: AUC {_shown(verdict.auc)}; {verdict.must}"
        )
        for words, value in (
            ("minus true inputs", verdict.to_true),
            ("minus best possible", verdict.to_best),
        ):
            if value is not None and value.value is not None:
                lines.append(f"{'':15}   {words} {_shown(value)}, {value.method}")
    return "\n".join(lines)


def _best(
    rows: Sequence[Prediction], left: Sequence[str], oracle: Oracle | None
) -> FloatArray | None:
    """The best possible probabilities from what is left, or None."""
    if oracle is None or not left:
        return None
    unknown = [row.patient_id for row in rows if row.patient_id not in oracle]
    if unknown:
        raise RunError(
            f"patient {unknown[0]!r}: expected a patient of the phantom, got one that its truth "
            "does not have. Give --truth the folder truth/ beside the cohort."
        )
    # US-1 counts with US-0: its crop is as wide in mm, and so tells the size before.
    seen = {*left} | ({Modality.US_0.value} if Modality.US_1 in left else set())
    name = "+".join(modality.value for modality in Modality if modality in seen)
    return np.array([oracle[row.patient_id][name] for row in rows if row.label is not None])


def _arrays(rows: Sequence[Prediction]) -> tuple[IntArray, FloatArray]:
    """Labels and probabilities of patients whose label is known."""
    known = [row for row in rows if row.label is not None]
    label = np.array([row.label for row in known], dtype=np.int64)
    return label, np.array([row.probability for row in known])


def _judged(seen: _Seen) -> Verdict:
    """One control."""
    has_own_labels = np.array_equal(seen.label, seen.true_label)

    def minus(other: FloatArray, *, confidence: float = 0.95) -> Estimate:
        paired = paired_delong(seen.label, seen.probability, other, confidence=confidence)
        return paired.difference

    control = seen.control
    auc = delong_interval(seen.label, seen.probability, scale="logit")
    if not control.left:
        must = "must be 0.5"
        wide = delong_interval(seen.label, seen.probability, scale="logit", confidence=JUDGED)
        verdict = _holds_half(wide)
    else:
        must = "must fall" if control.falls else "must not rise"
        must += " and not exceed the best possible" if seen.best is not None else ""
        bounds = [minus(seen.true_probability, confidence=JUDGED)]
        bounds += [minus(seen.best, confidence=JUDGED)] if seen.best is not None else []
        verdict = _no_better(bounds, falls=control.falls)
    is_constant = bool(np.ptp(seen.probability) == 0)  # one half, whoever the patients are
    if are_too_few(len(seen.label), int(seen.label.sum())) and not is_constant:
        verdict = OPEN
    return Verdict(
        name=control.name,
        what=control.what,
        must=must,
        auc=auc,
        to_true=minus(seen.true_probability) if has_own_labels else None,
        to_best=minus(seen.best) if seen.best is not None else None,
        verdict=verdict,
    )


def _holds_half(auc: Estimate) -> str:
    """Whether chance explains an AUC."""
    if auc.value is None:
        return OPEN
    if auc.low is None or auc.high is None:
        return FINE if auc.value == 0.5 else NOT_FINE
    return FINE if auc.low <= 0.5 <= auc.high else NOT_FINE


def _no_better(bounds: Sequence[Estimate], *, falls: bool) -> str:
    """Whether no difference is surely above 0, and where it must, the first surely below."""
    if any(bound.low is not None and bound.low > 0 for bound in bounds):
        return NOT_FINE
    if falls and not (bounds[0].high is not None and bounds[0].high < 0):
        return OPEN
    return FINE


def _shown(value: Estimate) -> str:
    """A number with its interval."""
    if value.value is None:
        return value.note
    ends = "no CI" if value.low is None else f"{value.low:.3f} to {value.high:.3f}"
    return f"{value.value:.3f} ({ends})"
