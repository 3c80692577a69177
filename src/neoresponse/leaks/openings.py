"""A ledger of how often test patients were evaluated: one line for each new set of predictions.

Kept beside the study as `test-openings.jsonl`. Each line holds the SHA-256 of the line before it,
so that a line that was taken out or changed shows. No clock is read and no patient is named.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from neoresponse.contracts.opening import FILE_NAME, Opening
from neoresponse.contracts.predictions import Prediction, predictions_csv, read_predictions
from neoresponse.durable import write_text
from neoresponse.errors import RunError
from neoresponse.leaks.leak import Leak

START = "0" * 64


def record_opening(folder: Path, predictions: Mapping[str, Sequence[Prediction]]) -> int:
    """Write down that test patients are evaluated; to be called before the numbers are shown.

    Evaluating the same predictions of the same runs again shows nothing new and adds no line.

    Args:
        folder: the study folder; it exists.
        predictions: name of a run -> its predictions.

    Returns:
        How many lines the ledger now has; 0 where no prediction is of a test patient.

    Raises:
        RunError: the ledger was changed, or cannot be written.
    """
    tested = {
        name: [row for row in rows if row.split == "test"] for name, rows in predictions.items()
    }
    runs = {
        name: hashlib.sha256(predictions_csv(rows).encode()).hexdigest()
        for name, rows in sorted(tested.items())
        if rows
    }
    if not runs:
        return 0
    path = folder / FILE_NAME
    num_patients = len({row.patient_id for rows in tested.values() for row in rows})
    with FileLock(folder / f".{FILE_NAME}.lock"):
        lines = _lines(path)
        if any(line.runs == runs for line in lines):
            return len(lines)
        line = Opening(
            number=len(lines) + 1,
            num_patients=num_patients,
            runs=runs,
            before=_hash(lines[-1]) if lines else START,
        )
        old = path.read_text(encoding="utf-8") if lines else ""
        write_text(path, f"{old}{_text(line)}\n")
        return len(lines) + 1


def record_files(folder: Path, sources: Mapping[str, Path]) -> int:
    """`record_opening` of predictions files, name of a run -> its file."""
    return record_opening(folder, {name: read_predictions(p) for name, p in sources.items()})


def read_openings(folder: Path) -> list[Opening]:
    """All lines of the ledger of a study folder; none where there is no ledger.

    Raises:
        RunError: a line is no JSON, or does not follow from the one before.
    """
    return _lines(folder / FILE_NAME)


def opened_again(folder: Path) -> list[Leak]:
    """A leak where test patients were evaluated with more than one set of predictions."""
    try:
        lines = read_openings(folder)
    except RunError as error:
        return [Leak("test opened again", (), str(error))]
    if len(lines) < 2:
        return []
    models = {digest for line in lines for digest in line.runs.values()}
    sentence = (
        f"{FILE_NAME}: expected test patients to be evaluated once, got {len(lines)} evaluations "
        f"with {len(models)} different predictions. State that number beside the results: the "
        "best of several looks better than it is (`neoresponse plan` says by how much)."
    )
    return [Leak("test opened again", (), sentence)]


def _lines(path: Path) -> list[Opening]:
    """The ledger, checked line by line."""
    if not path.exists():
        return []
    before, lines = START, []
    for number, text in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            line = Opening.model_validate_json(text)
            is_next = line.number == number and line.before == before
            before = _hash(line)
            lines.append(line)
        except ValueError:
            is_next = False
        if not is_next:
            raise RunError(
                f"{path}, line {number}: expected the line that follows from the one before, got "
                "another. The ledger was changed; state how often the test patients were seen."
            )
    return lines


def _text(line: Opening) -> str:
    """A line as it stands in the file."""
    return json.dumps(line.model_dump(mode="json"), sort_keys=True)


def _hash(line: Opening) -> str:
    """SHA-256 of a line."""
    return hashlib.sha256(_text(line).encode()).hexdigest()
