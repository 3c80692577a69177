"""[phantom]: the simulated hospital."""

from typing import Literal, Self

from pydantic import Field, model_validator

from neoresponse.settings.section import Settings


class PhantomSettings(Settings):
    """The simulated hospital."""

    num_patients: int = Field(596, ge=1, le=99_999)
    """Patients to make; 596 gives the published counts of pCR and of multifocal tumours."""
    preset: Literal["guo2024", "easy", "null", "clinical-only"] = "guo2024"
    """How strongly outcome shows: as published, strongly, not in images, only in clinical data."""
    frame_px: int = Field(512, ge=96, le=2048)
    """Side of the square B-mode picture inside each ultrasound frame, in pixels."""
    region_px: int = Field(1536, ge=96, le=8192)
    """Side of the outlined square on each slide, in pixels of level 0."""
    mpp: float = Field(0.5, gt=0.05, le=8)
    """Micrometres per pixel of level 0 of each slide."""
    table: Literal["csv", "xlsx"] = "csv"
    """File type of the patient table."""
    stress: Literal[
        "none",
        "gain",
        "depth",
        "probe",
        "speckle",
        "outline",
        "plane",
        "stain",
        "focus",
        "jpeg",
        "shift",
    ] = "none"
    """One thing made worse in all images or outlines, for stress tests of a trained network."""
    dose: float = Field(0.0, ge=0, le=10)
    """How much worse: 0 changes nothing, 1 is about the difference between machines or readers."""

    @model_validator(mode="after")
    def _dose_has_a_stress(self) -> Self:
        if self.dose and self.stress == "none":
            raise ValueError(f"dose must be 0 where stress is none, got {self.dose}")
        return self
