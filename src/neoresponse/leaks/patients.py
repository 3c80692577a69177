"""Patients of a table as they are audited, and which of their ids and rows are one person's.

Rows of one person are found as in record linkage: a value that two rows share weighs the more the
fewer patients have it (Fellegi and Sunter, J. Am. Stat. Assoc. 1969, 64:1183-1210).
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from neoresponse.leaks.leak import Leak
from neoresponse.leaks.values import as_day, is_days, is_numeric, plain_value
from neoresponse.types import FloatArray

MISS_BITS = 7.0
"""What a value costs that differs, as if one in 128 of one person's did: values hang together, so
rows of people who are alike agree in more of them than chance allows."""
LEAST_BITS, SPARE_BITS = 14.0, 1.0
"""Evidence needed: as many bits as the number of pairs has, but for one, and never fewer."""
FEW_VALUES = 12
"""A column with fewer values says little and hangs on others; it counts half."""
BLOCK = 512


@dataclass(frozen=True)
class Entry:
    """One row of a table of patients.

    Attributes:
        patient_id: as it stands there.
        part: "train", "validation", "test" or another word; empty where the table has no split.
        label: 1 for pCR, 0 for residual disease, None where unknown.
        cells: column of an input -> text, empty where missing; without id, part, label, images.
        others: the same of columns that no model gets; they only help to know a person again.
        images: column -> image file that is there.
    """

    patient_id: str
    part: str
    label: int | None
    cells: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Path] = field(default_factory=dict)


def named(entry: Entry) -> str:
    """A patient with the part it is in."""
    return f"{entry.patient_id} ({entry.part})" if entry.part else entry.patient_id


def across(parts: Sequence[str]) -> str:
    """What follows from the parts that share something."""
    if len(set(parts)) > 1:
        return "Keep them in one part."
    return "Both in one group: no leak, but the patient counts twice. Keep one."


def groups_by_id(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The rows of each patient, however the id is written."""
    groups: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[_bare(entry.patient_id)].append(entry)
    return list(groups.values())


def same_ids(entries: Sequence[Entry]) -> list[Leak]:
    """Ids in two parts; letter case, punctuation and leading zeros make no other patient."""
    found = []
    for group in groups_by_id(entries):
        ids, parts = {e.patient_id for e in group}, {e.part for e in group}
        if len(parts) > 1 or len(ids) > 1:
            listed = ", ".join(sorted({named(e) for e in group}))
            sentence = f"expected one patient in one part, got {listed}. {across(sorted(parts))}"
            found.append(Leak("patient in two parts", tuple(sorted(ids)), sentence))
    return found


def same_people(entries: Sequence[Entry]) -> list[Leak]:
    """Pairs of ids whose rows agree in more than chance explains.

    Args:
        entries: a whole table; what is rare is counted in it.
    """
    first_rows = list({_bare(e.patient_id): e for e in reversed(entries)}.values())[::-1]
    columns = _columns(first_rows)
    if len(first_rows) < 3 or not columns:
        return []
    num_pairs = len(first_rows) * (len(first_rows) - 1) / 2
    needed = max(LEAST_BITS, np.log2(num_pairs) - SPARE_BITS)
    found = []
    for start in range(0, len(first_rows), BLOCK):
        rows = slice(start, start + BLOCK)
        bits = _evidence(columns, rows)
        bits[np.tri(bits.shape[0], bits.shape[1], start, dtype=bool)] = -np.inf  # each pair once
        for one, two in np.argwhere(bits >= needed):
            pair = first_rows[start + one], first_rows[two]
            found.append(_one_person(*pair, bits=float(bits[one, two])))
    return found


def _bare(patient_id: str) -> str:
    """An id without what people write differently."""
    pieces = re.findall(r"[a-z]+|\d+|[^\W\d_a-z]+", patient_id.casefold())
    return " ".join(piece.lstrip("0") or "0" for piece in pieces) or patient_id


def _whole(entry: Entry) -> dict[str, str]:
    """All that is known of a patient in words and numbers."""
    return {**entry.cells, **entry.others}


def _columns(entries: Sequence[Entry]) -> list[tuple[npt.NDArray[np.int64], FloatArray, float]]:
    """Of each column the value's number by row (-1 where missing), bits of each, its weight."""
    found = []
    rows = [_whole(entry) for entry in entries]
    for name in rows[0]:
        texts = [plain_value(row.get(name, "")) for row in rows]
        known = sorted({text for text in texts if text})
        if len(known) < 2:
            continue
        number = {text: place for place, text in enumerate(known)}
        values = np.array([number.get(text, -1) for text in texts], dtype=np.int64)
        is_fine = len(known) >= FEW_VALUES and (is_numeric(known) or is_days(known))
        found.append((values, _rarity(values, known), 1.0 if is_fine else 0.5))
    return found


def _rarity(values: npt.NDArray[np.int64], known: Sequence[str]) -> FloatArray:
    """Bits of each value of a column: the fewer patients have it, the more."""
    counts = np.bincount(values[values >= 0], minlength=len(known))
    bits = np.asarray(-np.log2(counts / counts.sum()))
    if is_days(known):  # what no third patient has is as rare as one day of all between
        days = [day.toordinal() for text in known if (day := as_day(text))]
        span_bits = np.log2(max(days) - min(days) + 1) - 1
        bits = np.where(counts <= 2, np.maximum(bits, span_bits), bits)
    return np.asarray(bits)


def _evidence(
    columns: list[tuple[npt.NDArray[np.int64], FloatArray, float]], rows: slice
) -> FloatArray:
    """Bits that speak for one person, (rows, all rows)."""
    bits = np.zeros((len(columns[0][0][rows]), len(columns[0][0])))
    for values, rarity, weight in columns:
        own, others = values[rows][:, None], values[None]
        is_known = (own >= 0) & (others >= 0)
        is_same = is_known & (own == others)
        worth = weight * rarity[np.maximum(own, 0)]
        bits += np.where(is_same, worth, 0.0) - MISS_BITS * (is_known & ~is_same)
    return bits


def _one_person(one: Entry, two: Entry, *, bits: float) -> Leak:
    """The leak of a pair; no value is told."""
    equal = [
        name
        for name, text in _whole(one).items()
        if plain_value(text) and plain_value(text) == plain_value(_whole(two).get(name, ""))
    ]
    sentence = (
        f"{named(one)} and {named(two)}: expected two people, got {len(equal)} equal values in "
        f"{', '.join(equal[:6])}{' and others' if len(equal) > 6 else ''} ({bits:.0f} bits). "
        f"{across([one.part, two.part])}"
    )
    return Leak("person twice", (one.patient_id, two.patient_id), sentence)
