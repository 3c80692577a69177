"""What a run folder says of itself: `inputs.json`, what determines it, and `run.json`, its end.

Their reference is docs/reference/run-folder.md.
"""

import hashlib
import json
from pathlib import Path
from typing import ClassVar

from pydantic import JsonValue

from neoresponse.contracts.record import FileRecord, read_record
from neoresponse.contracts.split import SampleCounts
from neoresponse.durable import read_json
from neoresponse.errors import RunError

WITH_THRESHOLD = "neoresponse.run-inputs/1"
"""An earlier schema, whose recipe held the rule of the threshold."""


class RunInputs(FileRecord):
    """The inputs that determine a run: the same ones give the same run."""

    SCHEMA: ClassVar[str] = "neoresponse.run-inputs/2"
    FILE_NAME: ClassVar[str] = "inputs.json"

    software: str
    """Name and version of the software."""
    recipe: dict[str, JsonValue]
    """The settings that decide what is learnt: seed, prepare, model, train."""
    prepared_sha256: str
    """Of the prepared store's manifest."""
    split_sha256: str
    """Of `split.csv`."""
    weights_sha256: str | None
    """Of the pretrained weights; None without."""

    @property
    def identity(self) -> str:
        """One SHA-256 over all of it."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: "RunInputs") -> list[str]:
        """Keys in which two runs differ, with dots, such as `train.epochs`."""
        one, two = (_flat(inputs.model_dump(mode="json")) for inputs in (self, other))
        keys = sorted(key for key in one.keys() | two.keys() if one.get(key) != two.get(key))
        return [key.removeprefix("recipe.") for key in keys]


class RunSummary(FileRecord):
    """`run.json`: written last, so that its presence says that the run is whole."""

    SCHEMA: ClassVar[str] = "neoresponse.run/1"
    FILE_NAME: ClassVar[str] = "run.json"

    software: str
    """Name and version of the software."""
    seed: int
    """Of the run."""
    num_parameters: int
    """Of the network."""
    kept_epoch: int
    """The epoch whose weights were kept, counted from 0."""
    num_epochs: int
    """Epochs that were trained."""
    precision: str
    """Number format of the forward pass."""
    samples: SampleCounts
    """Training samples."""
    cohort_name: str
    """Whose patients these are."""
    is_simulated: bool
    """Whether they come from a phantom."""


def read_inputs(folder: Path) -> RunInputs:
    """The inputs of a run, also of one that an earlier version wrote.

    Raises:
        RunError: there are none, or they cannot be read.
    """
    path = folder / RunInputs.FILE_NAME
    try:
        content = read_json(path, schema=WITH_THRESHOLD)
    except RunError:
        return read_record(folder, RunInputs)
    # A threshold decides nothing of what is learnt, so the run is the same one without it.
    try:
        recipe = {key: value for key, value in content["recipe"].items() if key != "threshold"}
        return RunInputs.model_validate(
            {key: value for key, value in content.items() if key != "schema"} | {"recipe": recipe}
        )
    except (AttributeError, KeyError, ValueError) as error:
        raise RunError(
            f"{path}: expected the inputs of a run, got {type(error).__name__}. Train again."
        ) from error


def find_inputs(folder: Path) -> RunInputs | None:
    """The inputs of a run; None where a folder has none that can be read."""
    try:
        return read_inputs(folder)
    except RunError:
        return None


def _flat(content: JsonValue, prefix: str = "") -> dict[str, JsonValue]:
    """Nested tables as one, keys joined by dots."""
    if not isinstance(content, dict):
        return {prefix: content}
    flat: dict[str, JsonValue] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else key)
    return flat
