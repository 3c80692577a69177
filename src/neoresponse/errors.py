"""Every error a user can meet.

NeoresponseError
├── CohortError        something in a cohort folder
│   ├── TableError     its patient table or cohort.toml
│   ├── RoiError       one of its outlines
│   └── ImageError     one of its images or slides
├── ConfigError        a setting that cannot be
├── RunError           a store, run, study or model folder
├── MissingExtraError  an optional package that is not installed
├── Stopped            work that was asked to stop, and has saved its state
└── Followed           one of several processes, ending after another that said why

A message reads `<file, patient or key>: expected <rule>, got <value>. <next step>.`
"""

from collections.abc import Sequence

MAX_SHOWN = 10
"""How many of a list a message names."""


def first_few(names: Sequence[str], limit: int = MAX_SHOWN) -> str:
    """`a, b, c and 7 more`, for a message."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


class NeoresponseError(Exception):
    """Root of all errors that are the input's fault, never the program's."""

    title = "Error"
    """The word before the sentence, on the command line."""
    exit_code = 1
    """Of the command line."""


class CohortError(NeoresponseError):
    """A cohort folder does not hold what its `cohort.toml` says."""


class TableError(CohortError):
    """A patient table or `cohort.toml` cannot be read."""


class RoiError(CohortError):
    """An outline cannot be read or cannot be an outline."""


class ImageError(CohortError):
    """An image or a slide cannot be read or cannot be used."""


class ConfigError(NeoresponseError):
    """A setting is unknown, of the wrong type or impossible."""


class RunError(NeoresponseError):
    """A prepared store, run, study or model folder cannot be used."""


class MissingExtraError(NeoresponseError):
    """A part needs an optional package that is not installed."""


class Stopped(NeoresponseError):
    """Work that a signal asked to stop, and that has saved its state."""

    title = "Stopped"

    def __init__(self, message: str, signal_number: int) -> None:
        """The exit code is what a shell gives to a process that the signal ends."""
        super().__init__(message)
        self.exit_code = 128 + signal_number


class Followed(NeoresponseError):
    """One of several processes at the same work ends because another has said why it does."""

    def __init__(self, exit_code: int) -> None:
        """The exit code is the other's."""
        super().__init__("another process of this training says why it ended")
        self.exit_code = exit_code
