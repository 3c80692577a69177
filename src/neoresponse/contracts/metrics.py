"""`metrics.json`, in and out. Its reference is docs/reference/predictions-and-metrics.md."""

from pathlib import Path
from typing import Any

from neoresponse.durable import read_json, write_json

SCHEMA = "neoresponse.metrics/2"
FILE_NAME = "metrics.json"

SHARED = "training_patients"
"""Of a cohort from elsewhere: a sentence for each training patient that is found in it."""

Content = dict[str, Any]


def write_metrics(folder: Path, metrics: Content) -> Path:
    """Write `metrics.json` into a folder that exists and return its path."""
    path = folder / FILE_NAME
    write_json(path, metrics)
    return path


def read_metrics(folder: Path) -> Content:
    """Read `metrics.json` from a folder.

    Raises:
        RunError: it is missing or has another schema.
    """
    return read_json(folder / FILE_NAME, schema=SCHEMA)
