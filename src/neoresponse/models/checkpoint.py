"""Weights on disk: checkpoints of a training under way, and contract 4, the model bundle.

No pickle anywhere; a file's SHA-256 is compared before the file is parsed. The bundle's reference
is docs/reference/model-bundle.md.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from neoresponse.durable import read_json, sha256_of, write_bytes, write_json
from neoresponse.errors import RunError

MODEL_SCHEMA = "neoresponse.model/1"
MANIFEST_SCHEMA = "neoresponse.model-manifest/1"
STATE_SCHEMA = "neoresponse.checkpoint/1"
WEIGHTS, MODEL, MANIFEST, STATE = (
    "weights.safetensors",
    "model.json",
    "manifest.json",
    "state.json",
)

Tensors = dict[str, Tensor]


def save_bundle(folder: Path, weights: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write a model bundle.

    Args:
        folder: an empty or new folder.
        weights: the network's state by parameter name.
        card: content of `model.json` but its schema.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / WEIGHTS, _to_bytes(weights))
    write_json(folder / MODEL, {**card, "schema": MODEL_SCHEMA})
    hashes = {name: sha256_of(folder / name) for name in (WEIGHTS, MODEL)}
    write_json(folder / MANIFEST, {"schema": MANIFEST_SCHEMA, "sha256": hashes})


def load_bundle(folder: Path) -> tuple[dict[str, Any], Tensors]:
    """Read a model bundle after its hashes were checked.

    Returns:
        The content of `model.json`, and the weights on the CPU.

    Raises:
        RunError: a file is missing, or differs from what the manifest says.
    """
    hashes = read_json(folder / MANIFEST, schema=MANIFEST_SCHEMA).get("sha256", {})
    for name in (WEIGHTS, MODEL):
        _check_hash(folder / name, hashes.get(name))
    card = read_json(folder / MODEL, schema=MODEL_SCHEMA)
    return card, _from_bytes(folder / WEIGHTS)


def save_checkpoint(
    folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> tuple[str, str]:
    """Write the state of a training, whole or not at all.

    The tensors go to a file named by their hash; then `state.json` is renamed into place, which is
    the moment at which the new state counts; then tensor files nobody names any more are removed.

    Args:
        folder: the run's checkpoint folder, made where it is not there.
        tensors: weights and optimiser state.
        state: JSON values: epoch, metrics so far. Its key `kept_file` may name an older tensor
            file that must stay.

    Returns:
        Name and SHA-256 of the tensor file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = _to_bytes(tensors)
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"{sha256[:16]}.safetensors"
    write_bytes(folder / name, content)
    stored = {**state, "schema": STATE_SCHEMA, "file": name, "sha256": sha256}
    write_json(folder / STATE, stored)
    named = {name, state.get("kept_file")}
    for file in (*folder.glob("*.safetensors"), *folder.glob("*.part")):
        if file.name not in named:
            file.unlink(missing_ok=True)
    return name, sha256


def load_checkpoint(folder: Path) -> tuple[dict[str, Any], Tensors] | None:
    """Read the last whole state of a training, or None where there is none yet.

    Raises:
        RunError: the tensor file is missing or differs from what `state.json` says.
    """
    if not (folder / STATE).exists():
        return None
    state = read_json(folder / STATE, schema=STATE_SCHEMA)
    return state, load_tensors(folder / state["file"], sha256=state["sha256"])


def load_tensors(path: Path, *, sha256: str) -> Tensors:
    """Read a tensor file after its hash was checked.

    Raises:
        RunError: the file is missing or its hash is another.
    """
    _check_hash(path, sha256)
    return _from_bytes(path)


def _check_hash(path: Path, sha256: str | None) -> None:
    """Refuse a file that is not the one that was written."""
    found = sha256_of(path) if path.is_file() else None
    if found is None or found != sha256:
        raise RunError(
            f"{path}: expected SHA-256 {sha256}, got {found}. The file is damaged or foreign: "
            "restore it, or run train again with --force."
        )


def _from_bytes(path: Path) -> Tensors:
    """Tensors of a safetensors file."""
    try:
        tensors: Tensors = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"{path}: expected a safetensors file, got {type(error).__name__}. "
            "Restore it, or run train again with --force."
        ) from error
    return tensors


def _to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as a safetensors file."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content: bytes = save(plain, metadata={"format": "pt"})
    return content
