"""A wrong name -> the known one that was meant."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from pydantic import BaseModel


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`Did you mean X?` for the nearest known name, or an empty text."""
    near = get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]}?" if near else ""


def nearest_key(kind: type[BaseModel], place: Sequence[str]) -> str:
    """The key that was meant, as the end of a clause, or an empty text.

    Args:
        kind: the settings in which the key was sought.
        place: the key, section by section; one of another section is found too.
    """
    *sections, name = place
    prefix = ".".join([*sections, ""])
    every = list(_keys(kind, ""))
    here = [key for key in every if key.startswith(prefix)]
    siblings = {key.removeprefix(prefix): key for key in here if "." not in key[len(prefix) :]}
    near = get_close_matches(name, siblings, n=1)
    found = [siblings[one] for one in near] or [k for k in every if k.rpartition(".")[2] == name]
    return f" (did you mean {found[0]}?)" if found else ""


def _keys(kind: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every key of a section and of those in it, with dots."""
    for name, field in kind.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
