"""A cell of text -> one of our levels, or a number inside its bounds."""

import re

from neoresponse.cohort.dictionary import KINDS, CohortFile, Levels, Number

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
PERCENT = "percent"


class ValueProblem(Exception):
    """A cell that cannot be; the text starts with `expected`."""


def read_value(file: CohortFile, word: str, text: str) -> str | float | None:
    """Read one cell.

    Args:
        file: names the codes, the missing values and the decimal mark.
        word: our name of the variable, such as `er`.
        text: the cell.

    Returns:
        A level or a number, or None where nothing is known.

    Raises:
        ValueProblem: it is neither a known code nor an allowed number.
    """
    codes = file.codes.get(word, {})
    if text not in codes and (not text or text in file.missing):
        return None
    text = codes.get(text, text)
    kind = KINDS[word]
    if isinstance(kind, Levels):
        return _level(kind, word, text, known=codes)
    return _number(kind, word, text, decimal=file.table.decimal)


def _level(kind: Levels, word: str, text: str, *, known: dict[str, str]) -> str:
    """One of the words."""
    if text not in kind.words:
        allowed = sorted({*known, *kind.words})
        raise ValueProblem(
            f"expected one of {allowed}, got {text!r}. Mend the cell or add it to codes.{word}."
        )
    return text


def _number(kind: Number, word: str, text: str, *, decimal: str) -> float:
    """A number in its bounds, written with the stated decimal mark and without thousands marks."""
    bare = text.removesuffix("%").rstrip() if kind.unit == PERCENT else text
    plain = bare.replace(decimal, ".") if decimal != "." and "." not in bare else bare
    is_number = NUMBER.fullmatch(plain) is not None and not (decimal != "." and "." in bare)
    bounds = f"a number from {kind.low:g} to {kind.high:g} {kind.unit}"
    if not is_number:
        raise ValueProblem(
            f"expected {bounds} with decimal mark {decimal!r}, got {text!r}. "
            "Mend the cell or change table.decimal."
        )
    number = float(plain)
    if not kind.low <= number <= kind.high:
        raise ValueProblem(f"expected {bounds}, got {text!r}. Mend the cell.")
    return number
