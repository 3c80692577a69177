"""A model bundle: `model.json`, what the network is and takes, and `manifest.json`, its hashes.

Their page is docs/reference/model-bundle.md.
"""

from typing import ClassVar, Literal

from pydantic import model_validator

from neoresponse.contracts.record import FileRecord, Record
from neoresponse.settings import ModelSettings, PrepareSettings
from neoresponse.types import RESEARCH_USE


class Standardisation(Record):
    """Mean and standard deviation of grey levels / 255 among training patients, per channel."""

    mean: dict[str, tuple[float, ...]]
    """Image input -> mean, one number (ultrasound) or three (biopsy)."""
    deviation: dict[str, tuple[float, ...]]
    """Image input -> standard deviation, as many numbers."""


class ClinicalEncoding(Record):
    """What turns four clinical variables into four numbers, fitted on training patients."""

    levels: dict[str, dict[str, float]]
    """Variable -> level -> its number."""
    numbers: dict[str, tuple[float, float]]
    """Variable -> mean and standard deviation among training patients."""


class ModelInput(Record):
    """What a network takes."""

    prepare: PrepareSettings
    """How its pixels are made."""
    standardisation: Standardisation
    clinical: ClinicalEncoding


class TrainedOn(Record):
    """The patients that a network was trained on."""

    cohort_name: str
    is_simulated: bool
    num_patients: int
    num_pcr: int


class ModelCard(FileRecord):
    """What a network is, what it takes, and on whom it was trained."""

    SCHEMA: ClassVar[str] = "neoresponse.model/1"
    FILE_NAME: ClassVar[str] = "model.json"

    software: str
    use: str = RESEARCH_USE
    architecture: ModelSettings
    """The network; its weights lie beside this file."""
    input: ModelInput
    output: str
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format that it was validated in."""
    calibration: None = None
    trained_on: TrainedOn

    @model_validator(mode="before")
    @classmethod
    def _of_an_earlier_version(cls, content: object) -> object:
        """An earlier version kept the threshold here; evaluation chooses it now."""
        if not isinstance(content, dict):
            return content
        earlier = ("threshold", "threshold_method")
        return {key: value for key, value in content.items() if key not in earlier}


class BundleManifest(FileRecord):
    """SHA-256 of the files of a bundle, compared before anything is parsed."""

    SCHEMA: ClassVar[str] = "neoresponse.model-manifest/1"
    FILE_NAME: ClassVar[str] = "manifest.json"

    sha256: dict[str, str]
    """File name -> hash."""
