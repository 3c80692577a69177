"""Pretrained backbone weights: from a local safetensors file, or fetched where a run asks for it.

No pickle, from nowhere. The network is touched by `fetch_weights` alone.
"""

import importlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from neoresponse.errors import ConfigError, MissingExtraError

HUB_FILE = "model.safetensors"
"""The one file that is ever fetched; a repository may hold the same weights as a pickle."""

_CLASSIFIER = "head."
_TABLES = (".attn.biases", ".attn.relative_position_index", ".attn_mask")
"""Ends of names in official files that hold fixed tables, which are made anew here."""


def fetch_weights(repository: str, *, backbone: str) -> Path:
    """Find a network's published weights in the hub's cache, or fetch them once.

    Args:
        repository: such as `timm/resnet50.a1_in1k`, empty where there is none.
        backbone: name of the network, for what is said where it goes wrong.

    Raises:
        ConfigError: there is no such repository, no safetensors file in it, or no way to it.
        MissingExtraError: the hub's client, which comes with timm, is not installed.
    """
    if not repository:
        raise ConfigError(
            f"model.pretrained: expected weights of {backbone!r} on the hub, got none. Name a "
            "local .safetensors file with model.weights, or train from first weights."
        )
    try:
        hub = importlib.import_module("huggingface_hub")
    except ModuleNotFoundError:
        raise MissingExtraError(
            "model.pretrained: expected the extra `baselines`, got no module 'huggingface_hub'. "
            "Run: pip install 'neoresponse[baselines]'"
        ) from None
    try:
        # What was fetched once is used again: a run that goes on has the weights it began with.
        cached = hub.try_to_load_from_cache(repository, HUB_FILE)
        found = cached if isinstance(cached, str) else hub.hf_hub_download(repository, HUB_FILE)
    except Exception as error:  # whatever the client's network library of the day calls it
        reason = str(error).strip().splitlines() or [""]
        raise ConfigError(
            f"model.pretrained: expected {HUB_FILE} of {repository}, got {type(error).__name__}: "
            f"{reason[0]} Where there is no network, load https://huggingface.co/{repository}"
            f"/resolve/main/{HUB_FILE} elsewhere and name the file with model.weights."
        ) from None
    return Path(found)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file.

    Raises:
        ConfigError: there is no such file, or it is not safetensors.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        raise ConfigError(
            f"model.weights {path}: expected a local .safetensors file, got none. Check the path; "
            "convert other formats with safetensors.torch.save_file."
        )
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ConfigError(
            f"model.weights {path}: expected safetensors, got {error}. Save the weights again."
        ) from None
    return tensors


def load_into(backbone: nn.Module, path: Path, *, may_miss: tuple[str, ...] = ()) -> None:
    """Load a file whose names are the backbone's, as in the official CrossFormer.

    Its classifier `head` and its fixed tables are left out.

    Args:
        backbone: gets the weights.
        path: the file.
        may_miss: names of modules that keep their first weights where the file lacks them.

    Raises:
        ConfigError: a name is missing or unknown, or a shape differs.
    """
    found = {
        name: tensor
        for name, tensor in read_weights(path).items()
        if not name.startswith(_CLASSIFIER) and not name.endswith(_TABLES)
    }
    own = backbone.state_dict()
    missing = {k for k in own.keys() - found.keys() if not set(k.split(".")) & set(may_miss)}
    unknown = found.keys() - own.keys()
    if missing or unknown:
        name = min(missing | unknown)
        raise ConfigError(
            f"model.weights {path}: expected the names of this backbone, got {len(missing)} "
            f"missing and {len(unknown)} unknown, such as {name!r}. Set the sizes in `model` to "
            "those of the file."
        )
    for name, tensor in found.items():
        if tensor.shape != own[name].shape:
            raise ConfigError(
                f"model.weights {path}: expected {name} of shape {tuple(own[name].shape)}, got "
                f"{tuple(tensor.shape)}. Set the sizes in `model` to those of the file."
            )
    backbone.load_state_dict(found, strict=False)
