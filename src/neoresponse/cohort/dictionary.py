"""Contract 1: `cohort.toml`, which says what a hospital's table means, in our words.

In: the cohort folder. Out: a checked `CohortFile`. Reference: docs/reference/cohort-folder.md.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from neoresponse.cohort.vocabulary import MISSING, is_missing, normal
from neoresponse.errors import CohortError, TableError
from neoresponse.settings import Settings

SCHEMA = "neoresponse.cohort/1"
FILE_NAME = "cohort.toml"


@dataclass(frozen=True)
class Levels:
    """A variable that takes one of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Number:
    """A variable that is a number between two bounds, both allowed."""

    unit: str
    low: float
    high: float


CLINICAL: Mapping[str, Levels | Number] = {
    "phenotype": Levels(("HR+/HER2-", "triple-negative", "HR-/HER2+", "HR+/HER2+")),
    "er": Levels(("negative", "low", "positive")),
    "ki67_percent": Number("percent", 0, 100),
    "regimen": Levels(("anti-HER2", "taxane+platinum", "taxane", "anthracycline+taxane")),
    "her2": Levels(("negative", "low", "positive")),
    "pr": Levels(("negative", "positive")),
    "age_years": Number("years", 18, 110),
    "bmi": Number("kg/m2", 10, 80),
    "menopause": Levels(("pre", "post")),
    "size_mm": Number("mm", 1, 200),
    "t_stage": Levels(("T1", "T2", "T3", "T4")),
    "nodes": Levels(("negative", "positive")),
    "stage": Levels(("I-II", "III")),
    "bi_rads": Levels(("2-4a", "4b", "4c", "5")),
}
"""Every clinical variable we know; a cohort names those it has."""

MODEL_VARIABLES = ("phenotype", "er", "ki67_percent", "regimen")
"""The four that enter the network, in this order."""

LABEL = Levels(("0", "1"))
FOCALITY = Levels(("unifocal", "multifocal"))
KINDS: Mapping[str, Levels | Number] = {**CLINICAL, "pcr": LABEL, "focality": FOCALITY}
"""Every word whose cell is a level or a number."""
FILE_COLUMNS = ("us_0", "us_0_roi", "us_1", "us_1_roi", "slide", "slide_roi")
KNOWN_COLUMNS = ("patient_id", "pcr", "focality", "machine", "centre", *FILE_COLUMNS, *CLINICAL)


class TableSection(Settings):
    """Where the patient table is and how it is written."""

    file: str
    """CSV or XLSX file, relative to the cohort folder."""
    sheet: str | None = None
    """Sheet of an XLSX file; the first one where none is named."""
    separator: str | None = None
    """Column separator of a CSV file; found by itself where none is named."""
    decimal: Literal[".", ","] | None = None
    """Decimal mark of numbers; found column by column where none is named."""
    encoding: str | None = None
    """Text encoding of a CSV file, such as utf-8 or gbk; found by itself where none is named."""


class UltrasoundSection(Settings):
    """What the ultrasound files do not say themselves."""

    spacing_mm: float | None = Field(None, gt=0.001, lt=5)
    """Size of a pixel in mm where a file has none (PNG, JPEG)."""


class SlideSection(Settings):
    """What the slide files do not say themselves."""

    mpp: float | None = Field(None, gt=0.05, lt=20)
    """Micrometres per pixel at full resolution where a file has none."""


class CohortFile(Settings):
    """The content of `cohort.toml`."""

    schema_name: Literal["neoresponse.cohort/1"] = Field(alias="schema")
    """Version of this contract."""
    name: str = Field(min_length=1, max_length=200)
    """Name of the cohort, shown in the report."""
    is_simulated: bool = False
    """Whether it is a phantom; then everything made from it says SIMULATED."""
    note: str = ""
    """Shown in the report under the name."""
    table: TableSection
    """Where the patient table is."""
    columns: dict[str, str]
    """Our word -> the table's column."""
    codes: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Our word -> {the table's value: our level}; a value that is our level needs no entry."""
    missing: tuple[str, ...] = MISSING
    """Values that mean that nothing is known, in any letter case."""
    ultrasound: UltrasoundSection = UltrasoundSection()
    """Pixel size of ultrasound where files have none."""
    slide: SlideSection = SlideSection()
    """Pixel size of slides where files have none."""

    def is_missing(self, text: str) -> bool:
        """Whether a cell says that nothing is known."""
        return is_missing(text, self.missing)

    def coded(self, word: str, text: str) -> str | None:
        """What `codes` says of a cell, by its exact text or by its one other spelling; or None."""
        codes = self.codes.get(word, {})
        alike = {level for code, level in codes.items() if normal(code) == normal(text)}
        return codes.get(text, alike.pop() if len(alike) == 1 else None)

    @model_validator(mode="after")
    def _words_are_known(self) -> "CohortFile":
        if "patient_id" not in self.columns:
            raise ValueError("columns: expected patient_id, got none")
        for section, words in (("columns", self.columns), ("codes", self.codes)):
            unknown = sorted(set(words) - set(KNOWN_COLUMNS))
            if unknown:
                raise ValueError(f"{section}: expected one of {list(KNOWN_COLUMNS)}, got {unknown}")
        shared = [
            word
            for word, column in self.columns.items()
            if column == self.columns.get("pcr") and word != "pcr"
        ]
        if shared:
            raise ValueError(
                f"columns: expected pcr to have its own column, got the same column for {shared}; "
                "the outcome would then be an input"
            )
        return self

    @model_validator(mode="after")
    def _codes_lead_to_levels(self) -> "CohortFile":
        for word, codes in self.codes.items():
            kind = KINDS.get(word)
            if not isinstance(kind, Levels):
                raise ValueError(f"codes: expected a variable with levels, got {word!r}")
            wrong = sorted(set(codes.values()) - set(kind.words))
            if wrong:
                raise ValueError(f"codes.{word}: expected {list(kind.words)}, got {wrong}")
        return self


def find_cohort(folder: Path) -> Path:
    """The folder with `cohort.toml`: the given one, or `cohort/` in it as the phantom writes it.

    Raises:
        CohortError: neither holds a `cohort.toml`, or one cannot be looked into.
    """
    for candidate in (folder, folder / "cohort"):
        try:
            if (candidate / FILE_NAME).is_file():
                return candidate
        except OSError as error:
            raise CohortError(
                f"{candidate}: expected a readable folder, got: {error.strerror}. "
                "Give yourself the right to read it."
            ) from None
    raise CohortError(
        f"{folder}: expected a folder with {FILE_NAME}, got none. "
        "Write one (docs/reference/cohort-folder.md) or name another folder."
    )


def load_cohort_file(folder: Path) -> CohortFile:
    """Read and check `cohort.toml`.

    Raises:
        TableError: it is not TOML, or a key is missing, unknown or of the wrong type.
    """
    path = folder / FILE_NAME
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        return CohortFile.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"]) or "file"
        text = problem["msg"].removeprefix("Value error, ")
        raise TableError(f"{path}: {key}: {text}. Correct that key.") from None
    except OSError as error:
        raise TableError(
            f"{path}: expected a readable file, got: {error.strerror}. Check who may read it."
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise TableError(
            f"{path}: expected TOML in UTF-8, got {error}. Correct that line."
        ) from None
