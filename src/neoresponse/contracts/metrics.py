"""`metrics.json`, in and out. Its reference is docs/reference/predictions-and-metrics.md."""

from pathlib import Path
from typing import Any

from neoresponse.durable import read_json, write_json
from neoresponse.errors import RunError

SCHEMA = "neoresponse.metrics/3"
FILE_NAME = "metrics.json"
WITH_FLOORS = "neoresponse.metrics/2"
"""An earlier schema, in which reference models had other names."""

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
    path = folder / FILE_NAME
    try:
        read_json(path, schema=WITH_FLOORS)
    except RunError:
        return read_json(path, schema=SCHEMA)
    raise RunError(
        f"{path}: expected schema {SCHEMA!r}, got {WITH_FLOORS!r} of an earlier version. Evaluate "
        "again with `neoresponse study` or `neoresponse evaluate`: nothing is trained."
    )
