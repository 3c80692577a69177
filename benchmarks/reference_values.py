"""Reference values of other people's software: reading them, and comparing a number with ours."""

import csv
import gzip
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Case = dict[str, Any]
Table = dict[str, list[str]]
Numbers = npt.NDArray[np.float64]
WORDS = {"NA": None, "NaN": None, "Inf": math.inf, "-Inf": -math.inf}


class UnknownFileError(Exception):
    """A file that cannot be checked."""


@dataclass(frozen=True)
class Check:
    """One number of ours against one reference value.

    Attributes:
        field: its name in the file.
        error: difference as a share of the reference value; 0 where the difference is below the
            absolute tolerance; infinite where one of the two is a number and the other is not.
        tolerance: what is allowed.
    """

    field: str
    error: float
    tolerance: float

    @property
    def is_ok(self) -> bool:
        """Whether the error is within tolerance; NaN is not."""
        return self.error <= self.tolerance


def number(value: Any) -> float | None:  # noqa: ANN401 (a number of a JSON file)
    """A number, or None for NA and NaN, which stand as words."""
    return WORDS[value] if isinstance(value, str) else value


def compared(
    field: str,
    ours: float | None,
    expected: Any,  # noqa: ANN401 (a number of a JSON file, or a word for one)
    *,
    rel: float = 1e-12,
    at: float = 1e-15,
) -> Check:
    """Compare one number; `rel` is allowed relative to the reference, `at` in any case."""
    wanted = number(expected)
    if ours is None or wanted is None:
        return Check(field, 0.0 if ours is wanted else math.inf, rel)
    if ours == wanted:
        return Check(field, 0.0, rel)
    gap = abs(ours - wanted)
    if gap <= at:
        return Check(field, 0.0, rel)
    return Check(field, gap / abs(wanted) if wanted and math.isfinite(gap) else math.inf, rel)


def compared_rows(
    field: str, ours: npt.ArrayLike, expected: npt.ArrayLike, *, rel: float = 0.0, at: float = 0.0
) -> Check:
    """Compare two arrays of numbers: the largest error of all."""
    one, other = np.asarray(ours, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if one.shape != other.shape:
        return Check(field, math.inf, rel)
    checks = (
        compared(field, float(a), float(b), rel=rel, at=at)
        for a, b in zip(one.flat, other.flat, strict=True)
    )
    return Check(field, max((check.error for check in checks), default=0.0), rel)


def all_compared(
    ours: Mapping[str, float | None], case: Case, *, rel: float = 1e-12, at: float = 1e-15
) -> Iterator[Check]:
    """Compare every number of ours with the field of the same name."""
    for field, value in ours.items():
        yield compared(field, value, case[field], rel=rel, at=at)


def read_cases(path: Path) -> list[Case]:
    """The cases of a file.

    Raises:
        UnknownFileError: it holds none.
    """
    content = json.loads(path.read_text())
    cases = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(cases, list) or not cases or not all(isinstance(c, dict) for c in cases):
        raise UnknownFileError("expected an object with a list `cases` of objects")
    return cases


def find_table(path: Path, name: str) -> Table:
    """The table that a case of the file at `path` names, by name or by path.

    Raises:
        UnknownFileError: it is not there.
    """
    folder = path.parent / "data"
    for known in (folder / f"{name}.csv", folder / f"{name}.csv.gz", folder / Path(name).name):
        if known.is_file():
            return read_table(known)
    raise UnknownFileError(f"expected a table {name!r} in {folder}")


def read_table(path: Path) -> Table:
    """Columns by name, as text."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    header, *rows = csv.reader(text.splitlines())
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


def column(table: Table, name: str) -> Numbers:
    """A column of numbers."""
    return np.array([float(text) for text in table[name]])
