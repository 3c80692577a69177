"""Pretrained backbone weights from a local safetensors file; nothing is fetched, no pickle."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from neoresponse.errors import ConfigError

_CLASSIFIER = "head."


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
    """Load a file whose names are the backbone's; its classifier `head` is left out.

    Args:
        backbone: gets the weights.
        path: the file.
        may_miss: names of modules that keep their first weights where the file lacks them.

    Raises:
        ConfigError: a name is missing or unknown, or a shape differs.
    """
    found = {k: v for k, v in read_weights(path).items() if not k.startswith(_CLASSIFIER)}
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
