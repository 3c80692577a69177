"""[explain]: the heat maps."""

from typing import Literal

from pydantic import Field

from neoresponse.settings.section import Settings


class ExplainSettings(Settings):
    """The heat maps."""

    stage: Literal[1, 2, 3, 4] = 3
    """Network stage used for Grad-CAM; 3 has stride 16, 4 has stride 32."""
    num_patients: int = Field(6, ge=1)
    """How many test patients are shown, half of them pCR."""
