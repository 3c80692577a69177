"""Contract 3, its table: `predictions.csv`, from which everything later is computed.

One row per patient, in rows and back. Its reference is docs/reference/predictions-and-metrics.md.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from neoresponse.contracts.record import FileRecord, has_record, read_record, write_record
from neoresponse.durable import write_text
from neoresponse.errors import RunError
from neoresponse.types import Modality

FILE_NAME, CARD_NAME = "predictions.csv", "predictions.json"
COLUMNS = ("patient_id", "cohort", "split", "label", "probability", "available")
SPLITS = ("train", "validation", "test")
NEXT = "Write it again with `neoresponse predict`."


@dataclass(frozen=True)
class Prediction:
    """What a model says about one patient.

    Attributes:
        patient_id: the patient.
        cohort: "primary", "TC1", "TC2", or the name of a cohort that the model has not seen.
        split: "train", "validation" or "test".
        label: 1 for pCR, 0 for residual disease, None where unknown.
        probability: of pCR, in [0, 1].
        available: the inputs that the patient has.
    """

    patient_id: str
    cohort: str
    split: str
    label: int | None
    probability: float
    available: tuple[Modality, ...]


class PredictionsCard(FileRecord):
    """Whose predictions `predictions.csv` holds, and of which model: `predictions.json`."""

    SCHEMA: ClassVar[str] = "neoresponse.predictions/1"
    FILE_NAME: ClassVar[str] = "predictions.json"

    cohort_name: str = "unnamed cohort"
    """Whose predictions they are."""
    is_simulated: bool = False
    """Whether patients or training patients come from a phantom."""
    threshold: float | None = None
    """Of a cohort without validation patients: chosen on those of the training; else None."""
    threshold_note: str = ""
    """What is special about that threshold, else empty."""
    inputs: tuple[Modality, ...] = ()
    """What the model sees of a patient; empty where unknown."""


def write_card(folder: Path, card: PredictionsCard) -> None:
    """Write `predictions.json`."""
    write_record(folder, card)


def read_card(folder: Path) -> PredictionsCard:
    """Read `predictions.json`; a table from elsewhere has none, and nothing is known of it.

    Raises:
        RunError: it is no such file.
    """
    if not has_record(folder, PredictionsCard):
        return PredictionsCard()
    return read_record(folder, PredictionsCard)


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write `predictions.csv` whole or not at all, probabilities with every digit.

    Args:
        path: the file; its folder must exist.
        predictions: one per patient, in the order to keep.

    Raises:
        RunError: a patient stands there twice, or a value is not allowed.
    """
    for row, prediction in enumerate(predictions, start=1):
        _refuse_impossible(prediction, f"{path}, patient {row}")
    _refuse_twice(predictions, path)
    write_text(path, predictions_csv(predictions))


def predictions_csv(predictions: Sequence[Prediction]) -> str:
    """The table as text; the same predictions give the same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for prediction in predictions:
        writer.writerow(
            (
                prediction.patient_id,
                prediction.cohort,
                prediction.split,
                "" if prediction.label is None else prediction.label,
                repr(float(prediction.probability)),
                "+".join(prediction.available),
            )
        )
    return text.getvalue()


def read_predictions(path: Path) -> list[Prediction]:
    """Read and check `predictions.csv`.

    Args:
        path: the file.

    Returns:
        One per patient, in file order.

    Raises:
        RunError: a column is missing or unknown, a value is not allowed, a patient stands there
            twice, or the file cannot be read.
    """
    rows = _read_rows(path)
    predictions = [_parse(row, f"{path}, line {line}") for line, row in enumerate(rows, start=2)]
    if not predictions:
        raise RunError(f"{path}: expected at least one patient, got none. {NEXT}")
    _refuse_twice(predictions, path)
    return predictions


def average_predictions(members: Sequence[Sequence[Prediction]]) -> list[Prediction]:
    """The mean probability of each patient over several models of one kind.

    Args:
        members: predictions of each model, of the same patients in the same order.

    Raises:
        RunError: they are of different patients.
    """
    averaged = []
    for rows in zip(*members, strict=True):
        first = rows[0]
        if any(replace(row, probability=first.probability) != first for row in rows):
            raise RunError(
                f"{FILE_NAME}: expected the same patients of every seed, got others. {NEXT}"
            )
        mean = math.fsum(row.probability for row in rows) / len(rows)
        averaged.append(replace(first, probability=mean))
    return averaged


def _read_rows(path: Path) -> list[dict[str, str]]:
    """All rows by column; every row has every column and no more."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restkey="", strict=True)
            found = tuple(reader.fieldnames or ())
            rows = list(reader)
    except FileNotFoundError:
        raise RunError(f"{path}: expected this file, got none. {NEXT}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"{path}: expected CSV in UTF-8, got {error}. {NEXT}") from error
    if found != COLUMNS:
        raise RunError(f"{path}: expected the columns {list(COLUMNS)}, got {list(found)}. {NEXT}")
    for line, row in enumerate(rows, start=2):
        if "" in row or None in row.values():
            raise RunError(f"{path}, line {line}: expected {len(COLUMNS)} values. {NEXT}")
    return rows


def _parse(row: dict[str, str], where: str) -> Prediction:
    """One row, checked."""
    if row["label"] not in ("0", "1", ""):
        raise RunError(f"{where}: label: expected 0, 1 or nothing, got {row['label']!r}. {NEXT}")
    names = row["available"].split("+") if row["available"] else []
    known = [modality.value for modality in Modality]
    if not set(names) <= set(known):
        raise RunError(
            f"{where}: available: expected names of {known} joined by +, got "
            f"{row['available']!r}. {NEXT}"
        )
    try:
        probability = float(row["probability"])
    except ValueError:
        probability = math.nan
    prediction = Prediction(
        patient_id=row["patient_id"],
        cohort=row["cohort"],
        split=row["split"],
        label=int(row["label"]) if row["label"] else None,
        probability=probability,
        available=tuple(Modality(name) for name in names),
    )
    _refuse_impossible(prediction, where, shown=row["probability"])
    return prediction


def _refuse_impossible(prediction: Prediction, where: str, *, shown: str | None = None) -> None:
    """Stop on a value that cannot be."""
    if not prediction.patient_id:
        raise RunError(f"{where}: patient_id: expected a name, got nothing. {NEXT}")
    if not prediction.cohort:
        raise RunError(f"{where}: cohort: expected a name, got nothing. {NEXT}")
    if prediction.split not in SPLITS:
        raise RunError(
            f"{where}: split: expected one of {list(SPLITS)}, got {prediction.split!r}. {NEXT}"
        )
    if prediction.label not in (0, 1, None):
        raise RunError(f"{where}: label: expected 0, 1 or None, got {prediction.label!r}. {NEXT}")
    if not 0 <= prediction.probability <= 1:
        raise RunError(
            f"{where}: probability: expected a number from 0 to 1, got "
            f"{prediction.probability if shown is None else shown!r}. {NEXT}"
        )


def _refuse_twice(predictions: Sequence[Prediction], path: Path) -> None:
    """Stop on a patient that stands there twice."""
    seen: set[str] = set()
    for prediction in predictions:
        if prediction.patient_id in seen:
            raise RunError(
                f"{path}, patient {prediction.patient_id!r}: expected one row, got two. {NEXT}"
            )
        seen.add(prediction.patient_id)
