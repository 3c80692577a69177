"""[prepare]: how pixels are made."""

from typing import Literal, Self

from pydantic import Field, model_validator

from neoresponse.settings.section import Settings


class PrepareSettings(Settings):
    """How images are prepared for the network."""

    image_px: int = Field(512, ge=32, le=2048)
    """Side of every network input, ultrasound crop and biopsy patch alike, in pixels."""
    region_px: int = Field(1536, ge=96, le=8192)
    """Side to which the outlined biopsy region is resized before it is divided into patches."""
    margin_ratio: float = Field(0.3, ge=0, le=3)
    """Tissue kept around the lesion on each side, as a share of its longest side."""
    us_1_window: Literal["same", "own"] = "same"
    """US-1 crop: as many mm wide as the US-0 crop, so shrinkage shows; or fitted to itself."""

    @model_validator(mode="after")
    def _grid_fits(self) -> Self:
        if self.region_px % self.image_px:
            raise ValueError(
                f"region_px must be a multiple of image_px, got {self.region_px} and "
                f"{self.image_px}"
            )
        return self

    @property
    def num_patches(self) -> int:
        """Patches per biopsy."""
        return (self.region_px // self.image_px) ** 2
