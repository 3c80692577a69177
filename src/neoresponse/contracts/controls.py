"""`controls.json` and `verdicts.json`: predictions under negative controls, and what they show."""

from typing import ClassVar

from neoresponse.contracts.record import FileRecord, Record
from neoresponse.types import Estimate


class ControlFile(Record):
    """Predictions under one control."""

    name: str
    what: str
    """What is done to the inputs."""
    file: str
    """Predictions, in the same folder."""
    left: tuple[str, ...]
    """Inputs that still show the patient."""
    falls: bool
    """Whether the AUC must fall to chance."""


class Controls(FileRecord):
    """Every control of one run, the true inputs first."""

    SCHEMA: ClassVar[str] = "neoresponse.controls/1"
    FILE_NAME: ClassVar[str] = "controls.json"

    is_simulated: bool
    controls: tuple[ControlFile, ...]


class Verdict(Record):
    """One control of one run, judged."""

    name: str
    what: str
    must: str
    """What must hold."""
    auc: Estimate
    """Under the control."""
    to_true: Estimate | None
    """AUC under the control minus AUC with the true inputs; null where labels are another's."""
    to_best: Estimate | None
    """AUC under the control minus that of the best possible from what is left; null without one."""
    verdict: str
    """as expected, NOT AS EXPECTED, or cannot tell."""


class Verdicts(FileRecord):
    """Every control of one run, judged."""

    SCHEMA: ClassVar[str] = "neoresponse.control-verdicts/1"
    FILE_NAME: ClassVar[str] = "verdicts.json"

    verdicts: tuple[Verdict, ...]
