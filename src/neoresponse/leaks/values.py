"""Cells of a table as numbers, days and plain text."""

from collections.abc import Sequence
from datetime import date, datetime

from neoresponse.cohort.vocabulary import read_share

DAY_FORMATS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y%m%d",
    "%Y-%m-%d %H:%M:%S",
)

MOSTLY = 0.8
LEN_BARE = 8
"""Digits of a day that is written without marks."""


def as_number(text: str) -> float | None:
    """A finite number, with a decimal point or comma, or None."""
    return read_share(text.strip())[0]


def as_day(text: str) -> date | None:
    """A day in one of the common ways of writing it, or None."""
    if text.isdigit() and len(text) != LEN_BARE:
        return None
    for form in DAY_FORMATS:
        try:
            return datetime.strptime(text.strip(), form).date()
        except ValueError:
            continue
    return None


def is_numeric(texts: Sequence[str]) -> bool:
    """Whether most of some texts are numbers."""
    return sum(as_number(text) is not None for text in texts) >= MOSTLY * len(texts)


def is_days(texts: Sequence[str]) -> bool:
    """Whether most of some texts are days."""
    return sum(as_day(text) is not None for text in texts) >= MOSTLY * len(texts)


def plain_value(text: str) -> str:
    """One text for one value: 45, 45.0 and "45,0" are the same, as are two ways to write a day."""
    number = as_number(text)
    if number is not None:
        return repr(number)
    day = as_day(text) if any(mark.isdigit() for mark in text) else None
    return day.isoformat() if day is not None else " ".join(text.casefold().split())
