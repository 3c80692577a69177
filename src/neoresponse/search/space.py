"""What is searched: keys and bounds that can be, and the settings of one trial."""

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

from pydantic import JsonValue

from neoresponse.errors import ConfigError
from neoresponse.settings import RunSettings, SearchSettings, Section, merge
from neoresponse.settings.toml import with_changes

SECTIONS = ("model", "train")
MOST_CORNERS = 1000
EXAMPLE = '"train.learning_rate" = {low = 1e-5, high = 1e-2, log = true}'


def check_space(settings: RunSettings) -> None:
    """Stop before any work where a key or a value of the space cannot be.

    Every bound and choice is tried alone, then together with those of all other keys, up to a
    thousand combinations.

    Raises:
        ConfigError: the space is empty, or names a key or a value that cannot be.
    """
    space = settings.search.space
    if not space:
        raise ConfigError(
            "search.space: expected at least one key to vary, got none. Put a line such as "
            f"{EXAMPLE} under [search.space]."
        )
    for key in space:
        section, _, name = key.partition(".")
        if section not in SECTIONS or not name:
            raise ConfigError(
                f"search.space: expected keys of [model] or [train], got {key!r}. Others decide "
                "patients, pixels or numbers, which all trials share; remove it."
            )
    for values in _corners(settings.search):
        settings_with(settings, values)


def settings_with(settings: RunSettings, values: Mapping[str, JsonValue]) -> RunSettings:
    """The settings of a trial; those of the search itself are not part of them.

    Args:
        settings: what all trials share.
        values: dotted key -> value.

    Raises:
        ConfigError: they cannot be.
    """
    content: Section = {}
    for key, value in sorted(values.items()):
        inner: Any = value
        for part in reversed(key.split(".")):
            inner = {part: inner}
        content = merge(content, inner)
    shown = ", ".join(f"{key} = {value!r}" for key, value in sorted(values.items()))
    shared = settings.model_copy(update={"search": SearchSettings()})
    return with_changes(shared, content, f"search.space ({shown})")


def _corners(search: SearchSettings) -> Iterator[dict[str, Any]]:
    """Ends of each key alone, then ends of all keys together."""
    ends = {key: one.ends for key, one in sorted(search.space.items())}
    for key, values in ends.items():
        for value in values:
            yield {key: value}
    for together in islice(product(*ends.values()), MOST_CORNERS):
        yield dict(zip(ends, together, strict=True))
