"""What a cell says: nothing known, an outcome, a number, or one of several spellings of a level.

The one place for these words; every verb that reads a table of patients asks here.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from neoresponse.errors import MAX_SHOWN, TableError

MISSING = (
    *("", "NA", "N/A", "#N/A", "n.a.", "NaN", "NaT", "<NA>", "null", "None", r"\N", "missing"),
    *("unknown", "unk", "not known", "not available", "not done", "n.d.", "nd", "n.k."),
    *(".", "/", "?", "-", "--", "\u2013", "\u2014", "未知", "不详", "不明", "未查", "缺失"),
)
"""What hospitals write where nothing is known, in small or capital letters."""
PCR = frozenset(
    (
        *("1", "true", "t", "yes", "y", "pcr", "complete response", "pathologic complete response"),
        *("pathological complete response", "ja", "oui", "si", "是", "有", "病理完全缓解"),
    )
)
"""What stands for pCR in a column of outcomes, as `outcome_word` writes it."""
RESIDUAL = frozenset(
    (
        *("0", "false", "f", "no", "n", "rd", "non pcr", "nonpcr", "no pcr", "not pcr", "npcr"),
        *("residual", "residual disease", "nein", "non", "否", "无", "非pcr", "残留"),
    )
)
"""What stands for residual disease."""
ID_NAMES = ("patient_id", "patient", "id", "subject", "subject_id", "case_id", "pid")
"""Names of the column that says who a patient is, in small or capital letters."""
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
"""`1,234` may be 1.234 or 1234."""
MAX_DIGITS = 15
"""A longer row of digits is a name: as a float it would be another one's too."""


@lru_cache(maxsize=1 << 16)
def normal(text: str) -> str:
    """One text for all spellings: letter case, width, spaces; 1, 1.0 and 1,00 are one number."""
    bare = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    number = read_number(bare) if len(bare) <= MAX_DIGITS else None
    return bare if number is None else f"{number:.15g}"


def is_missing(text: str, words: Sequence[str] = MISSING) -> bool:
    """Whether a cell says that nothing is known."""
    if not text:
        return True
    known = _normal_words(tuple(words))
    if text[0].isdigit() and not any(word[:1].isdigit() for word in known):
        return False  # most cells, and quickly
    return normal(text) in known


def missing_words(texts: Iterable[str], more: Sequence[str] = ()) -> tuple[str, ...]:
    """The words for missing in one column: beside a plus, a minus is a value."""
    words = (*MISSING, *more)
    return tuple(w for w in words if w != "-") if "+" in set(texts) else words


def read_number(text: str, *, decimal: str | None = None) -> float | None:
    """A finite number, or None.

    Args:
        text: digits with a sign, a decimal mark and an exponent, without thousands marks.
        decimal: the decimal mark, `.` or `,`; where it is not known both are read, but not
            `1,234`, which may be two numbers.
    """
    if not NUMBER.fullmatch(text) or (decimal is None and THOUSANDS.fullmatch(text)):
        return None
    if decimal is not None and ("," if decimal == "." else ".") in text:
        return None
    value = float(text.replace(",", "."))
    return value if math.isfinite(value) else None


def read_share(text: str, *, decimal: str | None = None) -> tuple[float | None, bool]:
    """A number that may carry a percent sign, and whether it does."""
    bare = text.removesuffix("%").rstrip()
    return read_number(bare, decimal=decimal), bare != text


def outcome_word(text: str) -> str:
    """An outcome in one spelling: `Non-pCR`, `non pCR` and `NON_PCR` are one."""
    word = normal(text)
    return word if NUMBER.fullmatch(word) else " ".join(re.split(r"[\s_\-\u2013]+", word)).strip()


def outcome_of(text: str) -> int | None:
    """1 for pCR, 0 for residual disease, None for any other word."""
    word = outcome_word(text)
    return 1 if word in PCR else 0 if word in RESIDUAL else None


def read_outcome(
    texts: Sequence[str], where: str, *, pcr: str | None = None, missing: Sequence[str] = ()
) -> list[int | None]:
    """Read a column of outcomes.

    Args:
        texts: its cells.
        where: file and column, for the message.
        pcr: the value for pCR; one other value is then residual disease. Where it is not given,
            both outcomes must be words of `PCR` and `RESIDUAL`.
        missing: more words that say that nothing is known.

    Returns:
        1 for pCR, 0 for residual disease, None where nothing is known.

    Raises:
        TableError: it is not clear which value means pCR.
    """
    words = missing_words(texts, missing)
    own = None if pcr is None else outcome_word(pcr)
    known = [None if _is_unknown(text, own, words) else outcome_word(text) for text in texts]
    values = {word for word in known if word is not None}
    if own is None:
        label_of = {word: outcome_of(word) for word in values}
        is_clear = set(label_of.values()) == {0, 1}
    else:
        label_of = {word: int(word == own) for word in values}
        others = values - {own}
        is_clear = bool(values) and len(others) < 2 and (own in values or others <= RESIDUAL)
    if not is_clear:
        raise TableError(_which(where, _listed(texts, known), pcr))
    return [None if word is None else label_of[word] for word in known]


def one_spelling(texts: Sequence[str | None]) -> list[str | None]:
    """Each text as its value is spelled most often; of equally frequent ones the first."""
    counts: dict[str, Counter[str]] = {}
    for text in texts:
        if text is not None:
            counts.setdefault(normal(text), Counter())[text] += 1
    shown = {word: spellings.most_common(1)[0][0] for word, spellings in counts.items()}
    return [None if text is None else shown[normal(text)] for text in texts]


@lru_cache(maxsize=64)
def _normal_words(words: tuple[str, ...]) -> frozenset[str]:
    """Words in one spelling."""
    return frozenset(normal(word) for word in words)


def _is_unknown(text: str, own: str | None, words: Sequence[str]) -> bool:
    """Whether nothing is known; a value that was named for pCR is one, whatever it says."""
    return outcome_word(text) != own and is_missing(text, words)


def _listed(texts: Sequence[str], known: Sequence[str | None]) -> str:
    """The values of a column as they are spelled first; many may be names and are counted."""
    spelled: dict[str, str] = {}
    for text, word in zip(texts, known, strict=True):
        if word is not None:
            spelled.setdefault(word, text)
    if len(spelled) > MAX_SHOWN:
        return f"{len(spelled)} different values"
    return ", ".join(repr(text) for text in sorted(spelled.values())) or "no value"


def _which(where: str, got: str, pcr: str | None) -> str:
    """The question which value means pCR."""
    if pcr is None:
        return (
            f"{where}: expected pCR and residual disease as 1 and 0, yes and no, or pCR and RD, "
            f"got {got}. Say which value means pCR (--pcr VALUE), and which value means unknown "
            "(--missing VALUE)."
        )
    return (
        f"{where}: expected {pcr!r} for pCR and one other value, got {got}. Name one of these with "
        "--pcr, and the value that means unknown with --missing."
    )
