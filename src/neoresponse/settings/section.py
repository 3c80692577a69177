"""What every section of a settings file is: frozen, and strict about its keys."""

from typing import Any

from pydantic import BaseModel, ConfigDict

Section = dict[str, Any]
"""A table of a settings file, not validated yet."""


class Settings(BaseModel):
    """A section of a settings file."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


def merge(base: Section, change: Section) -> Section:
    """Lay `change` over `base`, section by section; neither is changed."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge(old, value) if both and isinstance(old, dict) else value
    return merged
