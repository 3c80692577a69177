"""Every error a user can meet.

NeoresponseError
├── CohortError        something in a cohort folder
│   ├── TableError     its patient table or cohort.toml
│   ├── RoiError       one of its outlines
│   └── ImageError     one of its images or slides
├── ConfigError        a setting that cannot be
├── RunError           a store, run, study or model folder
└── MissingExtraError  an optional package that is not installed

A message reads `<file, patient or key>: expected <rule>, got <value>. <next step>.`
"""


class NeoresponseError(Exception):
    """Root of all errors that are the input's fault, never the program's."""


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
