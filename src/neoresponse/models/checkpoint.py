"""Weights on disk: checkpoints of a training under way, and contract 4, the model bundle.

No pickle anywhere; a file's SHA-256 is compared before the file is parsed. The bundle's reference
is docs/reference/model-bundle.md.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from neoresponse.contracts.bundle import BundleManifest, ModelCard
from neoresponse.contracts.record import read_record, write_record
from neoresponse.durable import (
    make_folder,
    sha256_of,
    temporary_of,
    write_bytes,
)
from neoresponse.errors import RunError

WEIGHTS = "weights.safetensors"
_STATE = "state.json"
"""Name of the tensor that holds the state's JSON, as bytes."""

Tensors = dict[str, Tensor]


def save_bundle(folder: Path, weights: Mapping[str, Tensor], card: ModelCard) -> None:
    """Write a model bundle.

    Args:
        folder: an empty or new folder.
        weights: the network's state by parameter name.
        card: what stands in `model.json`.
    """
    make_folder(folder)
    write_bytes(folder / WEIGHTS, _to_bytes(weights))
    write_record(folder, card)
    hashes = {name: sha256_of(folder / name) for name in (WEIGHTS, card.FILE_NAME)}
    write_record(folder, BundleManifest(sha256=hashes))


def load_bundle(folder: Path) -> tuple[ModelCard, Tensors]:
    """Read a model bundle after its hashes were checked.

    Returns:
        What stands in `model.json`, and the weights on the CPU.

    Raises:
        RunError: a file is missing, or differs from what the manifest says.
    """
    hashes = read_record(folder, BundleManifest).sha256
    for name in (WEIGHTS, ModelCard.FILE_NAME):
        _check_hash(folder / name, hashes.get(name))
    card = read_record(folder, ModelCard)
    return card, _parse((folder / WEIGHTS).read_bytes(), folder / WEIGHTS)


class Checkpoints:
    """The states of one training on disk, each a file of its own that is whole or absent.

    A file is named by how far the training had come and by a SHA-256 over the run's identity and
    the file's content. It is compared before anything is parsed, so a file that was damaged, or
    that another run wrote, is never read.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        """Nothing is read or written yet.

        Args:
            folder: made at the first save.
            identity: what the run becomes what it is from, as one text.
        """
        self._folder = folder
        self._identity = identity
        self._newest: str | None = None

    def save(
        self, tensors: Mapping[str, Tensor], state: Mapping[str, object], *, name: str
    ) -> None:
        """Write a state; then older ones but the last go.

        Args:
            tensors: weights and optimiser state.
            state: JSON values.
            name: how far the training has come; names sort as the states do.

        Raises:
            RunError: it cannot be written; the states before are as they were.
        """
        make_folder(self._folder)
        text = json.dumps(state, sort_keys=True, allow_nan=False).encode()
        as_tensor = torch.from_numpy(np.frombuffer(text, dtype=np.uint8).copy())
        content = _to_bytes({**tensors, _STATE: as_tensor})
        file = f"{name}-{self._hash(content)}.safetensors"
        write_bytes(self._folder / file, content)
        self._remove_but({file, self._newest})
        self._newest = file

    def load(self) -> tuple[Tensors, dict[str, object]] | None:
        """The newest state that is whole, or None where none was saved yet.

        Raises:
            RunError: there are files and none of them is whole.
        """
        content = self.read()
        return None if content is None else parse_state(content)

    def read(self) -> bytes | None:
        """The file of the newest state that is whole; not parsed, so that it can be passed on.

        Raises:
            RunError: there are files and none of them is whole.
        """
        files = sorted(self._folder.glob("*.safetensors"), reverse=True)
        refused = []
        for path in files:
            content = _read(path)
            found = self._hash(content) if content is not None else None
            if content is None or found != path.stem.rpartition("-")[2]:
                refused.append(f"{path}: expected the SHA-256 in its name, got {found}.")
                continue
            if refused:
                warnings.warn(
                    f"{' '.join(refused)} It is damaged or of another run, and not read: training "
                    f"goes on from {path.name}.",
                    stacklevel=2,
                )
            self._newest = path.name
            return content
        if refused:
            raise RunError(
                f"{refused[0]} The file is damaged or of another run, and no older one is whole: "
                "restore it, or run train again with --force."
            )
        return None

    def forget_older(self) -> None:
        """Keep the newest state alone."""
        self._remove_but({self._newest})

    def _hash(self, content: bytes) -> str:
        """SHA-256 over whose state it is and what it holds."""
        return hashlib.sha256(self._identity.encode() + b"\0" + content).hexdigest()

    def _remove_but(self, names: set[str | None]) -> None:
        """Remove all other states, and what a killed write left."""
        for file in self._folder.iterdir():
            is_state = file.suffix == ".safetensors" or temporary_of(file) is not None
            if is_state and file.name not in names:
                with suppress(OSError):  # what cannot be removed does no harm
                    file.unlink()


def parse_state(content: bytes) -> tuple[Tensors, dict[str, object]]:
    """Tensors and JSON values of what `Checkpoints.read` gave."""
    tensors = _parse(content, Path("checkpoint"))
    state: dict[str, object] = json.loads(tensors.pop(_STATE).numpy().tobytes())
    return tensors, state


def _check_hash(path: Path, sha256: str | None) -> None:
    """Refuse a file that is not the one that was written."""
    found = sha256_of(path) if path.is_file() else None
    if found is None or found != sha256:
        raise RunError(
            f"{path}: expected SHA-256 {sha256}, got {found}. The file is damaged or foreign: "
            "restore it, or run train again with --force."
        )


def _read(path: Path) -> bytes | None:
    """A file's content, or None where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _parse(content: bytes, path: Path) -> Tensors:
    """Tensors of a safetensors file."""
    try:
        tensors: Tensors = load(content)
    except SafetensorError as error:
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
