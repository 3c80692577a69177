"""[evaluate]: the numbers."""

from typing import Literal, Self

from pydantic import Field, model_validator

from neoresponse.settings.section import Settings


class EvaluateSettings(Settings):
    """How predictions are evaluated."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of every CI."""
    threshold: Literal["youden", "half", "sensitivity", "cost"] = "youden"
    """Rule on validation patients: best Youden index, a sensitivity, lowest cost; or fixed 0.5."""
    sensitivity: float = Field(0.9, gt=0, le=1)
    """With `threshold = "sensitivity"`: share of pCR patients that must be found."""
    cost_ratio: float = Field(1.0, gt=0, le=1000)
    """With `threshold = "cost"`: cost of a false positive divided by that of a false negative."""
    decision_thresholds: tuple[float, ...] = Field((0.2, 0.35, 0.5), min_length=1, max_length=9)
    """Thresholds in (0, 1) at which net benefit is reported."""
    ki67_cut_percent: float = Field(20.0, gt=0, le=100)
    """Subgroups of Ki-67: below this, and at or above it."""
    replicates: int = Field(2000, ge=200, le=100_000)
    """Bootstrap replicates for each CI without a formula."""
    bootstrap_seed: int = Field(1, ge=0)
    """Seed of the bootstrap; the same seed gives the same CIs."""

    @model_validator(mode="after")
    def _thresholds_are_probabilities(self) -> Self:
        if not all(0 < value < 1 for value in self.decision_thresholds):
            raise ValueError(
                f"decision_thresholds must lie between 0 and 1, got {self.decision_thresholds}"
            )
        return self
