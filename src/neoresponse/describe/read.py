"""A patient table (CSV or XLSX), or a cohort folder with its split -> a `CohortTable`."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from neoresponse.cohort import (
    check_cohort,
    load_cohort_file,
    raise_on_stop,
    read_split,
    read_table,
)
from neoresponse.cohort.dictionary import (
    CLINICAL,
    FILE_NAME,
    FOCALITY,
    MISSING,
    Levels,
    TableSection,
)
from neoresponse.cohort.label_table import PCR
from neoresponse.cohort.split import Assignment
from neoresponse.contracts.predictions import read_card, read_predictions
from neoresponse.describe.variables import (
    CohortTable,
    Variable,
    levels,
    number,
)
from neoresponse.errors import CohortError, ConfigError, TableError
from neoresponse.types import Patient, Track, untracked

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
MAX_NUMBER_LEVELS = 5
"""A column of whole numbers with at most so many different ones holds codes, such as grades."""
MAX_LEVELS = 20
"""A column of words with more different ones is left out: free text, dates or names."""
NAME_SHARE = 0.8
"""Of known words that are different, from which a column names patients."""
MAX_SHOWN = 10

Kind = Literal["number", "levels"]


@dataclass(frozen=True)
class Columns:
    """What the columns of a plain table mean.

    Attributes:
        label: column with the outcome.
        pcr: its value for pCR, or None for one of the usual words; there must be one other value.
        part: column with the part of the split, or None.
        variables: columns to describe, in this order; where empty, all that can be.
        probability: column with the probability of pCR, or None.
        kinds: column -> how to read it, where the rules would read it otherwise.
    """

    label: str
    pcr: str | None = None
    part: str | None = None
    variables: tuple[str, ...] = ()
    probability: str | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)


def table_of_file(path: Path, columns: Columns) -> CohortTable:
    """Read a plain table.

    Args:
        path: CSV or XLSX with one header row, one row per patient.
        columns: what its columns mean.

    Returns:
        Patients whose outcome (and part, where asked for) is known; the notes say how many are not,
        and which columns were left out.

    Raises:
        ConfigError: a kind is none.
        TableError: the file cannot be read, a column is not there, or the outcome has more than two
            values.
    """
    known = list(get_args(Kind))
    for name, kind in columns.kinds.items():
        if kind not in known:
            raise ConfigError(
                f"kind of {name!r}: expected one of {known}, got {kind!r}. Change it."
            )
    if not path.is_file():
        raise TableError(f"{path}: expected a CSV or XLSX file, found none. Check the path.")
    cells = read_table(path.parent, TableSection(file=path.name))
    _refuse_absent(path, list(cells.columns), columns)
    outcome = _outcome(path, cells[columns.label].tolist(), columns)
    used = cells[[one is not None for one in outcome]]
    notes = []
    if len(used) < len(cells):
        notes.append(f"{len(cells) - len(used)} patients without a known outcome left out.")
    if columns.part is not None:
        has_part = ~used[columns.part].isin(MISSING)
        if not has_part.all():
            notes.append(f"{int((~has_part).sum())} patients without a part left out.")
        used = used[has_part]
    variables, left_out = _variables(path, used, columns)
    if left_out:
        notes.append(f"Columns left out: {'; '.join(left_out)}. Name them to have them.")
    label = [one for one, row in zip(outcome, cells.index, strict=True) if row in used.index]
    return CohortTable(
        name=path.stem,
        label=pd.Series(label, dtype="int64").to_numpy(),
        variables=variables,
        part=tuple(used[columns.part]) if columns.part is not None else (),
        probability=(
            _number(path, columns.probability, _texts(used, columns.probability))
            if columns.probability is not None
            else None
        ),
        is_simulated=_is_simulated(path.parent),
        notes=tuple(notes),
    )


def table_of_cohort(
    folder: Path,
    *,
    split: Path | None = None,
    predictions: Path | None = None,
    track: Track = untracked,
) -> CohortTable:
    """Check a cohort folder and take its patients.

    Args:
        folder: the folder with `cohort.toml`.
        split: a folder made by `split`, or None.
        predictions: a `predictions.csv` of these patients, or None.
        track: shows progress.

    Returns:
        Patients that pass the check and whose outcome is known; with a split those of the split.

    Raises:
        CohortError: nothing can go on, or the split names patients who do not pass.
        RunError: split or predictions cannot be read.
    """
    rows = read_predictions(predictions) if predictions is not None else []
    drawn = read_split(split) if split is not None else ()
    checked = check_cohort(folder, track=track)
    raise_on_stop(checked)
    patients = [patient for patient in checked.patients if patient.label is not None]
    num_left_out = checked.num_rows - len(patients)
    part_of = _parts(split, drawn, {patient.patient_id for patient in patients})
    if part_of:
        patients = [patient for patient in patients if patient.patient_id in part_of]
    predicted = {row.patient_id: row.probability for row in rows}
    values = [predicted.get(patient.patient_id) for patient in patients]
    return CohortTable(
        name=checked.file.name,
        label=pd.Series([patient.label for patient in patients], dtype="int64").to_numpy(),
        variables=variables_of_patients(patients),
        part=tuple(part_of[patient.patient_id] for patient in patients) if part_of else (),
        probability=number("probability", values) if predictions is not None else None,
        is_simulated=checked.file.is_simulated,
        notes=(f"{num_left_out} patients left out by the check.",) if num_left_out else (),
    )


def variables_of_patients(patients: Sequence[Patient]) -> tuple[Variable, ...]:
    """Clinical variables that somebody has, then focality, machine and centre where they differ."""
    found = []
    for name, kind in CLINICAL.items():
        values = [patient.clinical.get(name) for patient in patients]
        if all(value is None for value in values):
            continue
        if isinstance(kind, Levels):
            words = [None if value is None else str(value) for value in values]
            found.append(levels(name, words, [w for w in kind.words if w in words]))
        else:
            found.append(number(name, [None if v is None else float(v) for v in values]))
    others: dict[str, list[str | None]] = {
        "focality": [FOCALITY.words[int(patient.is_multifocal)] for patient in patients],
        "machine": [patient.machine for patient in patients],
        "centre": [patient.centre for patient in patients],
    }
    for name, texts in others.items():
        if 1 < len({text for text in texts if text is not None}) <= MAX_LEVELS:
            found.append(levels(name, texts))
    return tuple(found)


def _parts(split: Path | None, drawn: Sequence[Assignment], known: set[str]) -> dict[str, str]:
    """Patient -> part of the split; empty without a split."""
    found = {one.patient_id: one.split if one.cohort == "primary" else one.cohort for one in drawn}
    num_unknown = len(set(found) - known)
    if num_unknown:
        raise CohortError(
            f"{split}: expected patients who pass the check of the cohort, got {num_unknown} who "
            "do not. Run split again."
        )
    return found


def _refuse_absent(path: Path, there: Sequence[str], columns: Columns) -> None:
    """Stop where a column that is asked for is not there."""
    asked = [columns.label, columns.part, columns.probability]
    asked += [*columns.variables, *columns.kinds]
    absent = sorted({name for name in asked if name is not None and name not in there})
    if absent:
        num_more = len(there) - MAX_SHOWN
        more = f" and {num_more} more" if num_more > 0 else ""
        raise TableError(
            f"{path}: expected columns {absent}, got {there[:MAX_SHOWN]}{more}. "
            "Name columns of the table."
        )


def _outcome(path: Path, cells: Sequence[str], columns: Columns) -> list[int | None]:
    """1 for pCR, 0 for the other value, None where missing."""
    known = sorted({cell for cell in cells if cell not in MISSING})
    own = {cell for cell in known if _is_pcr(cell, columns.pcr)}
    if len(own) == 0 or len(known) - len(own) != 1:
        wanted = repr(columns.pcr) if columns.pcr else "1, true, yes or pCR"
        got = known if len(known) <= MAX_SHOWN else f"{len(known)} different values"
        raise TableError(
            f"{path}, column {columns.label!r}: expected {wanted} for pCR and one other "
            f"value, got {got}. Name the value for pCR, or make one column of two."
        )
    return [None if cell in MISSING else int(cell in own) for cell in cells]


def _is_pcr(cell: str, wanted: str | None) -> bool:
    """Whether a cell says pCR: the value that was named, else one of the usual words."""
    if wanted is None:
        return cell.lower() in PCR or _is_same(cell, "1")
    return _is_same(cell, wanted)


def _is_same(cell: str, wanted: str) -> bool:
    """Whether two texts are the same word or the same number."""
    if _is_number(cell) and _is_number(wanted):
        return float(cell) == float(wanted)
    return cell == wanted


def _is_number(text: str) -> bool:
    """Whether a cell is a finite number with a decimal point, without thousands marks."""
    return NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def _variables(
    path: Path, cells: pd.DataFrame, columns: Columns
) -> tuple[tuple[Variable, ...], list[str]]:
    """The columns as variables, and those left out with the reason."""
    taken = (columns.label, columns.part, columns.probability)
    others = [name for name in cells.columns if name not in taken]
    found, left_out = [], []
    for name in columns.variables or others:
        texts = _texts(cells, name)
        _refuse_decimal_commas(path, name, texts)
        kind = columns.kinds.get(name) or _kind(texts)
        why = _unfit(texts, kind)
        if why and name not in (*columns.variables, *columns.kinds):
            left_out.append(f"{name} ({why})")
        elif kind == "number":
            found.append(_number(path, name, texts))
        else:
            found.append(levels(name, texts, _in_order(name, texts)))
    return tuple(found), left_out


def _texts(cells: pd.DataFrame, name: str) -> list[str | None]:
    """Cells of a column, None where missing."""
    return [None if cell in MISSING else str(cell) for cell in cells[name]]


def _refuse_decimal_commas(path: Path, name: str, texts: Sequence[str | None]) -> None:
    """Numbers written 30,5 would otherwise pass as words."""
    known = [text for text in texts if text is not None]
    is_written_so = all(_is_number(text.replace(",", ".", 1)) for text in known)
    if is_written_so and not all(_is_number(text) for text in known):
        raise TableError(
            f"{path}, column {name!r}: expected numbers with a decimal point, got decimal commas. "
            "Export the table with points, or describe it in a cohort.toml."
        )


def _kind(texts: Sequence[str | None]) -> Kind:
    """Whether a column holds numbers or levels, by the rules in docs/explanation/statistics.md."""
    known = [text for text in texts if text is not None]
    if not known or not all(_is_number(text) for text in known):
        return "levels"
    different = {float(text) for text in known}
    is_whole = all(value.is_integer() for value in different)
    return "levels" if is_whole and len(different) <= MAX_NUMBER_LEVELS else "number"


def _unfit(texts: Sequence[str | None], kind: Kind) -> str:
    """Why a column is left out where nobody names it; empty where it is not."""
    known = [text for text in texts if text is not None]
    num = len(set(known))
    if not known:
        return "no known value"
    if num == 1:
        return "one value for everybody"
    is_whole = all(text.isdecimal() for text in known)
    if num == len(known) and (kind == "levels" or (is_whole and num > MAX_LEVELS)):
        return "no two patients share a value"
    if kind == "levels" and num > NAME_SHARE * len(known) and num > 2:
        return f"{num} different values in {len(known)} rows: does a patient stand there twice?"
    return f"{num} different values" if kind == "levels" and num > MAX_LEVELS else ""


def _number(path: Path, name: str, texts: Sequence[str | None]) -> Variable:
    """A column as numbers."""
    wrong = [text for text in texts if text is not None and not _is_number(text)]
    if wrong:
        raise TableError(
            f"{path}, column {name!r}: expected numbers, got {len(wrong)} other values. "
            "Mend the column or take it as levels."
        )
    return number(name, [None if text is None else float(text) for text in texts])


def _in_order(name: str, texts: Sequence[str | None]) -> list[str]:
    """Levels as in our dictionary, else as numbers where all are, else by name."""
    words = {text for text in texts if text is not None}
    kind = CLINICAL.get(name)
    if isinstance(kind, Levels) and words <= set(kind.words):
        return [word for word in kind.words if word in words]
    if all(_is_number(word) for word in words):
        return sorted(words, key=lambda word: (float(word), word))
    return sorted(words)


def _is_simulated(folder: Path) -> bool:
    """Whether a file beside the table says that its patients are simulated."""
    cards = [read_card(folder).is_simulated]
    if (folder / FILE_NAME).is_file():
        cards.append(load_cohort_file(folder).is_simulated)
    return any(cards)
