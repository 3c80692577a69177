"""One row of the patient table under our words, and how its findings are worded."""

from collections.abc import Mapping
from dataclasses import dataclass

from neoresponse.cohort.dictionary import CohortFile
from neoresponse.types import Finding, Severity


@dataclass(frozen=True)
class Row:
    """One row of the patient table.

    Attributes:
        number: as the reader of the file sees it; the header is row 1.
        name: the patient_id, or `row 5` where it cannot be one.
        cells: our word -> text, for the columns that the table has.
        file: the cohort's `cohort.toml`.
    """

    number: int
    name: str
    cells: Mapping[str, str]
    file: CohortFile

    def text(self, word: str) -> str | None:
        """The cell, or None where the column is absent or the value is missing."""
        text = self.cells.get(word, "")
        return None if self.file.is_missing(text) else text

    def exclude(self, word: str, message: str) -> Finding:
        """A finding that leaves the patient out; the message starts with `expected`."""
        return Finding(self.name, word, f"{self._place(word)}: {message}", Severity.EXCLUDE)

    def note(self, word: str, message: str) -> Finding:
        """A finding that someone should look at."""
        return Finding(self.name, word, f"{self._place(word)}: {message}", Severity.NOTE)

    def _place(self, word: str) -> str:
        """Patient, row and column in words."""
        named = [self.name] if self.name.startswith("row ") else [self.name, f"row {self.number}"]
        column = self.file.columns.get(word)
        return ", ".join([*named, *([f"column {column!r}"] if column else [])])
