"""A cell of text -> one of our levels, or a number inside its bounds."""

from neoresponse.cohort.dictionary import KINDS, CohortFile, Levels, Number
from neoresponse.cohort.vocabulary import normal, outcome_of, read_share

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
    code = file.coded(word, text)
    if code is None and file.is_missing(text):
        return None
    text = text if code is None else code
    kind = KINDS[word]
    if isinstance(kind, Levels):
        return _level(kind, word, text, known=file.codes.get(word, {}))
    return _number(kind, text, decimal=file.table.decimal or ".")


def _level(kind: Levels, word: str, text: str, *, known: dict[str, str]) -> str:
    """One of the words in any spelling; an outcome without codes in all words usual for it."""
    outcome = outcome_of(text) if word == "pcr" and not known else None
    same = [level for level in kind.words if normal(level) == normal(text)]
    if outcome is None and not same:
        allowed = sorted({*known, *kind.words})
        raise ValueProblem(
            f"expected one of {allowed}, got {text!r}. Correct the cell or add it to codes.{word}."
        )
    return same[0] if outcome is None else str(outcome)


def _number(kind: Number, text: str, *, decimal: str) -> float:
    """A number in its bounds, written with the decimal mark and without thousands marks."""
    number, has_percent = read_share(text, decimal=decimal)
    bounds = f"a number from {kind.low:g} to {kind.high:g} {kind.unit}"
    is_strange = "e" in text.casefold() or (has_percent and kind.unit != PERCENT)
    if number is None or is_strange:
        raise ValueProblem(
            f"expected {bounds} with decimal mark {decimal!r}, got {text!r}. "
            "Correct the cell or change table.decimal."
        )
    if not kind.low <= number <= kind.high:
        raise ValueProblem(f"expected {bounds}, got {text!r}. Correct the cell.")
    return number
