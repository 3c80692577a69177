"""[split]: who is trained on."""

from typing import Any, Literal

from pydantic import PositiveInt, model_validator

from neoresponse.settings.section import Settings

RATIO = "ratio"


class SplitSettings(Settings):
    """Who is trained on; by patient, stratified by pCR, before anything is fitted."""

    sizes: tuple[int, int, int] | None = None
    """Patients in train, validation and TC1; `"ratio"` clears sizes that a base file sets."""
    preset_sizes: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None
    """Sizes that apply to a cohort of exactly that many patients; any other uses the ratio."""
    ratio: tuple[float, float, float] = (8, 1, 1)
    """Shares of train, validation and TC1 where no sizes apply."""
    multifocal: Literal["TC2", "mixed"] = "TC2"
    """Multifocal patients form test cohort TC2, or are split like all others."""

    @model_validator(mode="before")
    @classmethod
    def _ratio_clears_sizes(cls, content: Any) -> Any:  # noqa: ANN401 (whatever was given)
        if not isinstance(content, dict) or content.get("sizes") != RATIO:
            return content
        return {**content, "sizes": None, "preset_sizes": None}
