"""A patient table (CSV or XLSX), or a cohort folder with its split -> a `CohortTable`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from neoresponse.cohort import (
    check_cohort,
    load_cohort_file,
    raise_on_stop,
    read_split,
)
from neoresponse.cohort.dictionary import (
    CLINICAL,
    FILE_NAME,
    FOCALITY,
    Levels,
)
from neoresponse.cohort.doubts import number_doubts
from neoresponse.cohort.split import Assignment
from neoresponse.cohort.table_file import TableFile, read_table_file
from neoresponse.cohort.vocabulary import (
    is_missing,
    missing_words,
    normal,
    one_spelling,
    read_outcome,
    read_share,
)
from neoresponse.contracts.predictions import read_card, read_predictions
from neoresponse.describe.variables import (
    CohortTable,
    Variable,
    levels,
    number,
)
from neoresponse.errors import CohortError, ConfigError, TableError
from neoresponse.types import Patient, Track, untracked

MAX_NUMBER_LEVELS = 5
"""A column of whole numbers with at most so many different ones holds codes, such as grades."""
MAX_LEVELS = 20
"""A column of words with more different ones is left out: free text, dates or names."""
NAME_SHARE = 0.8
"""Of known words that are different, from which a column names patients."""

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
        missing: more words that say that nothing is known.
    """

    label: str
    pcr: str | None = None
    part: str | None = None
    variables: tuple[str, ...] = ()
    probability: str | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


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
    read = read_table_file(path)
    asked = [columns.label, columns.part, columns.probability]
    read.need([name for name in (*asked, *columns.variables, *columns.kinds) if name is not None])
    cells = read.cells
    where = f"{path}, column {columns.label!r}"
    outcome = read_outcome(
        cells[columns.label].tolist(), where, pcr=columns.pcr, missing=columns.missing
    )
    used = cells[[one is not None for one in outcome]]
    notes = list(read.notes)
    if len(used) < len(cells):
        notes.append(f"{len(cells) - len(used)} patients without a known outcome left out.")
    if columns.part is not None:
        has_part = ~used[columns.part].map(is_missing)
        if not has_part.all():
            notes.append(f"{int((~has_part).sum())} patients without a part left out.")
        used = used[has_part]
    variables = _variables(read, used, columns, notes)
    label = [one for one, row in zip(outcome, cells.index, strict=True) if row in used.index]
    return CohortTable(
        name=path.stem,
        label=pd.Series(label, dtype="int64").to_numpy(),
        variables=variables,
        part=tuple(used[columns.part]) if columns.part is not None else (),
        probability=(
            _probability(path, columns.probability, _texts(used, columns.probability, columns))
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


def _is_number(text: str) -> bool:
    """Whether a cell is a finite number with a decimal point, or one in percent."""
    return read_share(text, decimal=".")[0] is not None


def _variables(
    read: TableFile, cells: pd.DataFrame, columns: Columns, notes: list[str]
) -> tuple[Variable, ...]:
    """The columns as variables; the notes get those left out with the reason, and what to ask."""
    taken = (columns.label, columns.part, columns.probability)
    others = [name for name in cells.columns if name not in taken]
    found, left_out = [], []
    for name in columns.variables or others:
        texts = _texts(cells, name, columns)
        _refuse_decimal_commas(read.path, name, texts)
        kind = columns.kinds.get(name) or _kind(texts)
        texts = one_spelling(texts) if kind == "levels" else texts
        why = "formulas never computed" if name in read.uncomputed else _unfit(texts, kind)
        if why and name not in (*columns.variables, *columns.kinds):
            left_out.append(f"{name} ({why})")
            continue
        known = {int(row): one for row, one in zip(cells.index, texts, strict=True) if one}
        if all(_is_number(text) for text in known.values()):
            notes += [f"{one[0].upper()}{one[1:]}" for one in number_doubts(name, known)]
        if kind == "number":
            found.append(_number(read.path, name, texts))
        else:
            found.append(levels(name, texts, _in_order(name, texts)))
    if left_out:
        notes.append(f"Columns left out: {'; '.join(left_out)}. Name them to have them.")
    return tuple(found)


def _texts(cells: pd.DataFrame, name: str, columns: Columns) -> list[str | None]:
    """Cells of a column, None where missing."""
    words = missing_words(cells[name], columns.missing)
    return [None if is_missing(cell, words) else str(cell) for cell in cells[name]]


def _refuse_decimal_commas(path: Path, name: str, texts: Sequence[str | None]) -> None:
    """Numbers written 30,5 beside 30.5, or 1,234, would otherwise pass as words."""
    known = [text for text in texts if text is not None]
    if not any("," in text for text in known):
        return
    strange = [text for text in known if not _is_number(text)]
    if strange and all(_is_number(text.replace(",", ".", 1)) for text in known):
        raise TableError(
            f"{path}, column {name!r}: expected numbers with one decimal mark, got {strange[0]!r}. "
            "Export the table with decimal points and without thousands marks."
        )


def _kind(texts: Sequence[str | None]) -> Kind:
    """Whether a column holds numbers or levels, by the rules in docs/explanation/statistics.md."""
    known = [text for text in texts if text is not None]
    if not known or not all(_is_number(text) for text in known):
        return "levels"
    different = {_value(text) for text in known}
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
        return f"{num} different values in {len(known)} rows: does a patient have two rows?"
    return f"{num} different values" if kind == "levels" and num > MAX_LEVELS else ""


def _number(path: Path, name: str, texts: Sequence[str | None]) -> Variable:
    """A column as numbers."""
    wrong = [text for text in texts if text is not None and not _is_number(text)]
    if wrong:
        raise TableError(
            f"{path}, column {name!r}: expected numbers, got {len(wrong)} other values. "
            "Correct the column or read it with --kind COLUMN=levels."
        )
    return number(name, [None if text is None else _value(text) for text in texts])


def _probability(path: Path, name: str, texts: Sequence[str | None]) -> Variable:
    """A column as numbers, 80% as 0.8."""
    column = _number(path, name, texts)
    is_percent = np.array([text is not None and text.endswith("%") for text in texts], dtype=bool)
    return replace(column, values=np.where(is_percent, column.values / 100, column.values))


def _value(text: str) -> float:
    """The number of a cell for which `_is_number` holds; of a percent without its sign."""
    return read_share(text, decimal=".")[0] or 0.0


def _in_order(name: str, texts: Sequence[str | None]) -> list[str]:
    """Levels as in our dictionary, else as numbers where all are, else by name."""
    words = {text for text in texts if text is not None}
    kind = CLINICAL.get(name)
    if isinstance(kind, Levels):
        place = {normal(word): number for number, word in enumerate(kind.words)}
        if all(normal(word) in place for word in words):
            return sorted(words, key=lambda word: place[normal(word)])
    if all(_is_number(word) for word in words):
        return sorted(words, key=lambda word: (_value(word), word))
    return sorted(words)


def _is_simulated(folder: Path) -> bool:
    """Whether a file beside the table says that its patients are simulated."""
    cards = [read_card(folder).is_simulated]
    if (folder / FILE_NAME).is_file():
        cards.append(load_cohort_file(folder).is_simulated)
    return any(cards)
