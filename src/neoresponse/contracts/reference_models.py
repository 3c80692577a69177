"""The folder `reference/`: what is known without a network, beside every run of a split.

`clinical_only.csv`, `subtype_only.csv` and `size_change_only.csv` are like `predictions.csv`;
`characteristics.csv` says what the patients are, for subgroups; `reference.json` is the record.
"""

from pathlib import Path
from typing import ClassVar

from neoresponse.contracts.record import FileRecord, Record, read_record
from neoresponse.types import REFERENCE_MODELS

FOLDER = "reference"
"""Its name in a study folder."""


class FittedOn(Record):
    """Whom a reference model was fitted on."""

    num_patients: int
    """Training patients."""
    num_pcr: int
    """Those of them with pCR."""
    num_known: int
    """Those of them of whom anything is known that the model looks at."""


class ReferenceCard(FileRecord):
    """`reference.json`."""

    SCHEMA: ClassVar[str] = "neoresponse.reference/1"
    FILE_NAME: ClassVar[str] = "reference.json"

    cohort_name: str
    """Whose patients these are."""
    is_simulated: bool
    """Whether they, or those that the models were fitted on, come from a phantom."""
    fitted_on: dict[str, FittedOn]
    """Reference model -> training patients; a model that could not be fitted has no entry."""


def reference_file(name: str) -> str:
    """File name of a reference model's predictions."""
    return f"{name}.csv"


def reference_files(folder: Path | None) -> dict[str, Path]:
    """Reference model -> its predictions, of those that a folder holds; none of no folder.

    Raises:
        RunError: the folder is no reference folder.
    """
    if folder is None:
        return {}
    fitted = read_record(folder, ReferenceCard).fitted_on
    return {name: folder / reference_file(name) for name in REFERENCE_MODELS if name in fitted}
