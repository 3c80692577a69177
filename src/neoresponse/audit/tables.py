"""Printed tables as data, and what is wrong with them; the words of the audit.

A printed number keeps what rounding allows: 0.87 stands for everything from 0.865 to 0.875. Columns
of rates are called as in print: ACC, AUC, SENS, SPEC, PPV, NPV.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from neoresponse.errors import TableError
from neoresponse.stats.consistency import Span
from neoresponse.stats.threshold import Confusion

BOUND = re.compile(r"^([<>≤≥]=?)\s*(.+)$")


@dataclass(frozen=True)
class Printed:
    """One number as it stands in a table.

    Attributes:
        text: as printed.
        span: every value that rounds to it, or that a bound such as "<0.001" allows.
    """

    text: str
    span: Span

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Rate:
    """A value with its interval, where one is printed."""

    value: Printed
    low: Printed | None = None
    high: Printed | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return self.value.text
        return f"{self.value} ({self.low}–{self.high})"


@dataclass(frozen=True)
class RateRow:
    """The rates of one model in one cohort.

    Attributes:
        rates: column -> value; a column that is not printed is missing.
        num_patients: of the cohort, or None where it is not known.
        nums_pcr: how many of them may have pCR; empty where `num_patients` is not known.
        prevalence: share with pCR, or None where nothing is known.
        counts: the confusion matrix, where it is printed.
        confidence: coverage of the intervals.
        has_ties: whether patients share probabilities; an AUC's interval may then be narrower.
    """

    table: str
    cohort: str
    model: str
    rates: Mapping[str, Rate]
    num_patients: int | None = None
    nums_pcr: Sequence[int] = ()
    prevalence: Span | None = None
    counts: Confusion | None = None
    confidence: float = 0.95
    has_ties: bool = False

    @property
    def row(self) -> str:
        """Name of the row: cohort and model."""
        return f"{self.cohort} / {self.model}" if self.cohort else self.model


@dataclass(frozen=True)
class Level:
    """One level of a variable: patients with pCR and without, and their printed shares in %."""

    name: str
    counts: tuple[int, int]
    percents: tuple[Printed | None, Printed | None] = (None, None)


@dataclass(frozen=True)
class LevelsRow:
    """A variable with levels, counted in both groups.

    Attributes:
        totals: patients with pCR and without, or None where they are not printed.
        test: `chi-square`, `fisher`, or another word: then P is not recomputed. Empty: any of both.
    """

    table: str
    row: str
    levels: tuple[Level, ...]
    totals: tuple[int | None, int | None] = (None, None)
    p: Printed | None = None
    test: str = ""


@dataclass(frozen=True)
class MeansRow:
    """A variable as mean and standard deviation in both groups, pCR first.

    Attributes:
        test: empty or `t`: Student's or Welch's; another word: P is not recomputed.
    """

    table: str
    row: str
    means: tuple[Printed, Printed]
    sds: tuple[Printed, Printed]
    totals: tuple[int, int]
    p: Printed
    test: str = ""


@dataclass(frozen=True)
class EffectRow:
    """An odds ratio, or a difference, with its interval and P.

    Attributes:
        is_ratio: whether 1 stands for no effect and the interval is symmetric in logarithms; else
            0 does and the interval is symmetric as it is.
        interval: empty or `wald`; another word (`profile`): symmetry and P are not judged.
    """

    table: str
    row: str
    effect: Rate
    p: Printed | None = None
    is_ratio: bool = True
    interval: str = ""
    confidence: float = 0.95


@dataclass(frozen=True)
class NumberRow:
    """Any other number with its interval.

    Attributes:
        column: its name.
        number: value and interval.
        allowed: all that it can be: its bounds, or what the four counts make it.
        why: what makes it so.
    """

    table: str
    row: str
    column: str
    number: Rate
    allowed: Span
    why: str


@dataclass(frozen=True)
class Sum:
    """A total and the parts that make it."""

    table: str
    row: str
    column: str
    total: int
    parts: Mapping[str, int]


@dataclass(frozen=True)
class Highest:
    """A claim of a text: this model has the highest value of these columns in its table."""

    table: str
    cohort: str
    model: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Tables:
    """All that a paper prints and that can be audited."""

    rates: tuple[RateRow, ...] = ()
    levels: tuple[LevelsRow, ...] = ()
    means: tuple[MeansRow, ...] = ()
    effects: tuple[EffectRow, ...] = ()
    sums: tuple[Sum, ...] = ()
    numbers: tuple[NumberRow, ...] = ()
    highest: tuple[Highest, ...] = field(default=())


def read_number(text: str, *, decimals: int | None = None, where: str) -> Printed:
    """A number as printed, such as 0.870, 87.0%, <0.001, 0.006**.

    Args:
        text: what stands there.
        decimals: digits after the point, where `text` has lost its zeros at the end; None: as many
            as stand there.
        where: row and column, for the error.

    Raises:
        TableError: this is not a number.
    """
    bare = text.strip().rstrip("*†‡ ")
    bound = BOUND.match(bare)
    digits = bound[2] if bound else bare
    is_percent = digits.endswith("%")
    try:
        number = Decimal(digits.rstrip("% ").replace("−", "-"))
    except InvalidOperation:
        raise TableError(
            f"{where}: expected a number such as 0.870, 87.0% or <0.001, got {text!r}. Leave the "
            "field empty where nothing is printed."
        ) from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise TableError(f"{where}: expected a finite number, got {text!r}. Leave it empty.")
    step = Decimal(1).scaleb(min(exponent, 0) if decimals is None else -decimals)
    scale = Decimal(100 if is_percent else 1)
    low, high = float((number - step / 2) / scale), float((number + step / 2) / scale)
    if bound and bound[1][0] in "<≤":
        low, high = 0.0, float(number / scale)
    elif bound:
        low, high = float(number / scale), float("inf")
    return Printed(text.strip() if decimals is None else f"{number:.{decimals}f}", Span(low, high))
