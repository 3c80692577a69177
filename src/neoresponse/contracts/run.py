"""`run.json`: what a training came to. It is written last, so where it lies a run is whole."""

from typing import ClassVar

from neoresponse.contracts.record import FileRecord
from neoresponse.contracts.split import SampleCounts


class RunSummary(FileRecord):
    """What a training came to."""

    SCHEMA: ClassVar[str] = "neoresponse.run/1"
    FILE_NAME: ClassVar[str] = "run.json"

    software: str
    seed: int
    num_parameters: int
    kept_epoch: int
    num_epochs: int
    precision: str
    samples: SampleCounts
    cohort_name: str
    is_simulated: bool
