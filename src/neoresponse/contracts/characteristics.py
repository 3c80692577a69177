"""Contract 3, its second table: `characteristics.csv`, what patients are beside their probability.

One row per patient of `predictions.csv`, for subgroups. A value that is not known is empty.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from neoresponse.durable import write_text
from neoresponse.errors import RunError

FILE_NAME = "characteristics.csv"
VARIABLES = ("phenotype", "er", "her2", "ki67_percent", "stage", "machine", "centre")
COLUMNS = ("patient_id", *VARIABLES)
NEXT = "Write it again with `neoresponse predict`."

Characteristics = Mapping[str, Mapping[str, str]]
"""patient_id -> variable -> value as text; a value that is not known has no entry."""


def write_characteristics(
    path: Path, patients: Iterable[tuple[str, Mapping[str, str | float | None]]]
) -> None:
    """Write `characteristics.csv`.

    Args:
        path: the file; its folder must exist.
        patients: patient_id, and what is known of the patient; other words are left out.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for patient_id, known in patients:
        values = (known.get(name) for name in VARIABLES)
        writer.writerow([patient_id, *("" if value is None else value for value in values)])
    write_text(path, text.getvalue())


def read_characteristics(path: Path) -> Characteristics:
    """Read `characteristics.csv`; where there is none, nothing is known of anybody.

    Raises:
        RunError: it has other columns or cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restkey="", strict=True)
            found, rows = tuple(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"{path}: expected CSV in UTF-8, got {error}. {NEXT}") from error
    if found != COLUMNS or any("" in row or None in row.values() for row in rows):
        raise RunError(f"{path}: expected the columns {list(COLUMNS)} in every row. {NEXT}")
    for row in rows:
        if row["ki67_percent"] and not _is_number(row["ki67_percent"]):
            raise RunError(
                f"{path}, patient {row['patient_id']!r}: ki67_percent: expected a number, got "
                f"{row['ki67_percent']!r}. {NEXT}"
            )
    return {row["patient_id"]: {name: row[name] for name in VARIABLES if row[name]} for row in rows}


def _is_number(text: str) -> bool:
    """Whether a cell is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
