"""Cells of a table as numbers, days and plain text."""

import math
from datetime import date, datetime

DAY_FORMATS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y%m%d",
    "%Y-%m-%d %H:%M:%S",
)


def as_number(text: str) -> float | None:
    """A finite number, with a decimal point or comma, or None."""
    try:
        value = float(text.strip().rstrip("%").replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def as_day(text: str) -> date | None:
    """A day in one of the common ways of writing it, or None."""
    for form in DAY_FORMATS:
        try:
            return datetime.strptime(text.strip(), form).date()
        except ValueError:
            continue
    return None


def plain_value(text: str) -> str:
    """One text for one value: 45, 45.0 and "45,0" are the same, as are two ways to write a day."""
    number = as_number(text)
    if number is not None:
        return repr(number)
    day = as_day(text) if any(mark.isdigit() for mark in text) else None
    return day.isoformat() if day is not None else " ".join(text.casefold().split())
