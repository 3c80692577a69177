"""A column of numbers -> sentences that ask about values which are probably something else."""

import re
from collections.abc import Mapping, Sequence

from neoresponse.cohort.dictionary import CLINICAL, Number
from neoresponse.cohort.vocabulary import read_share
from neoresponse.errors import first_few

SENTINELS = frozenset((-1, -8, -9, -88, -99, -888, -999, -9999, 9, 88, 99, 888, 999, 8888, 9999))
"""What statistics programs and registries write where nothing is known."""
FAR = 1.5
"""A sentinel stands out where it is so many times the largest of all other values."""
MIN_OTHERS = 3
MAX_CODE = 4
"""A 9 stands out only beside codes, such as grades 1 to 3."""
MAX_CM = 15
PERCENT_NAME = re.compile(r"ki.?67|percent|prozent|%", re.IGNORECASE)
MM_NAME = re.compile(r"(^|[^a-z])mm([^a-z]|$)", re.IGNORECASE)
FLOAT_ID = re.compile(r"\d+\.0+")
DAY_ID = re.compile(r"\d{4}-\d{2}-\d{2}(T.*)?|\d{1,2}-[A-Z][a-z]{2}(-\d{2,4})?")


def number_doubts(name: str, cells: Mapping[int, str], *, word: str | None = None) -> list[str]:
    """What to ask about a column of numbers.

    Args:
        name: of the column.
        cells: row number -> known cell.
        word: our word for it, where it has one, which tells its unit; else its name does.

    Returns:
        Sentences that start with `column`.
    """
    shares = {row: read_share(text)[0] for row, text in cells.items()}
    numbers = {row: value for row, value in shares.items() if value is not None}
    bare = {row: value for row, value in numbers.items() if not cells[row].endswith("%")}
    kind = CLINICAL.get(word or name)
    unit = kind.unit if isinstance(kind, Number) else _unit(name)
    unit = unit if len(bare) == len(numbers) else "percent"
    found = _sentinels(name, numbers)
    if unit == "percent":
        found += _fractions(name, bare)
    if unit == "mm":
        found += _centimetres(name, list(numbers.values()))
    return found


def sentinels_among(values: Sequence[float]) -> list[float]:
    """Values that stand out from the rest of a column and usually say that nothing is known."""
    others = [value for value in values if value not in SENTINELS]
    if len(others) < MIN_OTHERS:
        return []
    low, high = min(others), max(others)

    def stands_out(value: float) -> bool:
        if value == 9:
            return high <= MAX_CODE and all(other.is_integer() for other in others)
        return (value < 0 <= low) or (value > high and value >= FAR * high)

    return sorted({value for value in values if value in SENTINELS and stands_out(value)})


def id_doubts(name: str, cells: Mapping[int, str]) -> list[str]:
    """What to ask about the column that names patients: ids that a spreadsheet made into others."""
    found = []
    for pattern, what in ((FLOAT_ID, "decimal numbers"), (DAY_ID, "dates")):
        rows = [row for row, text in cells.items() if pattern.fullmatch(text)]
        if rows:
            found.append(
                f"column {name!r}: expected patient ids, got {what} such as "
                f"{cells[rows[0]]!r} in {in_rows(rows)}. A spreadsheet program may have changed "
                "them; format the column as text and enter the ids again."
            )
    return found


def in_rows(rows: Sequence[int]) -> str:
    """`row 5`, or `3 rows (5, 9, 12)`."""
    if len(rows) == 1:
        return f"row {rows[0]}"
    return f"{len(rows)} rows ({first_few([str(row) for row in rows])})"


def _unit(name: str) -> str:
    """The unit that a column's name tells."""
    return "percent" if PERCENT_NAME.search(name) else "mm" if MM_NAME.search(name) else ""


def _sentinels(name: str, numbers: Mapping[int, float]) -> list[str]:
    """Each value that may say that nothing is known."""
    found = []
    wrong = sentinels_among(list(numbers.values()))
    others = [value for value in numbers.values() if value not in wrong]
    for value in wrong:
        rows = [row for row, number in numbers.items() if number == value]
        found.append(
            f"column {name!r}: expected numbers like the others ({min(others):g} to "
            f"{max(others):g}), got {value:g} in {in_rows(rows)}. If it says that nothing is "
            "known, empty these cells or name it as missing (`missing` in cohort.toml, or "
            f"--missing {value:g})."
        )
    return found


def _fractions(name: str, numbers: Mapping[int, float]) -> list[str]:
    """Shares of one in a column of percents."""
    rows = [row for row, value in numbers.items() if 0 < value < 1]
    if not rows:
        return []
    others = [value for value in numbers.values() if value > 1]
    got = f"{numbers[rows[0]]:g} in {in_rows(rows)}"
    beside = f" beside {others[0]:g}" if others else " and none above 1"
    return [
        f"column {name!r}: expected percents, got {got}{beside}. It is read as {numbers[rows[0]]:g}"
        "%; if it is a share of one, write it as a percent."
    ]


def _centimetres(name: str, values: Sequence[float]) -> list[str]:
    """Sizes that are all small and have decimals."""
    is_small = len(values) >= MIN_OTHERS and max(values) < MAX_CM
    if not is_small or all(value.is_integer() for value in values):
        return []
    return [
        f"column {name!r}: expected sizes in mm, got {min(values):g} to {max(values):g}, as sizes "
        "in cm are. If they are, multiply them by 10."
    ]
