"""[split]: who is trained on."""

from typing import Literal

from neoresponse.settings.section import Settings


class SplitSettings(Settings):
    """Who is trained on; by patient, stratified by pCR, before anything is fitted."""

    sizes: tuple[int, int, int] | None = None
    """Patients in train, validation and TC1; without it the ratio decides."""
    ratio: tuple[float, float, float] = (8, 1, 1)
    """Shares of train, validation and TC1 where no sizes are named."""
    multifocal: Literal["TC2", "mixed"] = "TC2"
    """Multifocal patients form test cohort TC2, or are split like all others."""
