"""Frozen settings of a search over settings: what may vary, how often, and what is best."""

import json
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from neoresponse.settings.section import Settings


class DimensionSettings(Settings):
    """What one key may become: a number between two bounds, or one of some choices."""

    low: int | float | None = None
    """Smallest number; with both bounds whole, whole numbers alone are drawn."""
    high: int | float | None = None
    """Largest number."""
    log: bool = False
    """Draw evenly over the logarithm, not over the number."""
    choices: tuple[JsonValue, ...] | None = None
    """Values of any kind, in place of bounds."""

    @model_validator(mode="after")
    def _is_a_range_or_choices(self) -> Self:
        if (self.low is None) != (self.high is None) or (self.low is None) == (not self.choices):
            raise ValueError("needs low and high, or choices with at least one value")
        if self.low is None or self.high is None:
            if self.log:
                raise ValueError("log needs low and high; choices have no order")
            if len({json.dumps(one) for one in self.choices or ()}) < len(self.choices or ()):
                raise ValueError("choices must differ")
        elif self.low >= self.high or (self.log and self.low <= 0):
            rule = "0 < low < high where log is true" if self.log else "low < high"
            raise ValueError(f"needs {rule}, got {self.low} and {self.high}")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers alone are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Any, ...]:
        """Both bounds, or all choices."""
        return self.choices if self.choices is not None else (self.low, self.high)


class SearchSettings(Settings):
    """Only the verb `search` reads these."""

    trials: int = Field(20, ge=1, le=10_000)
    """Number of settings to try; a larger number continues a finished search."""
    folds: int = Field(3, ge=2, le=20)
    """Inner folds of the training patients; each trial trains once per fold."""
    measure: Literal["auc", "loss"] = "auc"
    """What makes a trial good: mean over the folds of AUC or loss at the kept epoch."""
    space: dict[str, DimensionSettings] = Field(default_factory=dict)
    """Key of `[model]` or `[train]` -> `{low = , high = }` (`log = true`) or `{choices = []}`."""

    @field_validator("space", mode="before")
    @classmethod
    def _flat(cls, content: Any) -> Any:  # noqa: ANN401 (whatever was given)
        """TOML reads `train.learning_rate` without quotation marks as a table in a table."""
        return _flattened(content, "") if isinstance(content, dict) else content


def _flattened(content: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Tables in tables as one table with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        is_inner = isinstance(value, dict) and not value.keys() & set(
            DimensionSettings.model_fields
        )
        if is_inner and value:
            found |= _flattened(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
