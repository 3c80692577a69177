"""A trained network read back from its bundle, ready to predict."""

from dataclasses import dataclass
from pathlib import Path

import torch

from neoresponse.contracts.bundle import ModelCard
from neoresponse.errors import ConfigError, RunError
from neoresponse.models.build import build_model
from neoresponse.models.checkpoint import load_bundle
from neoresponse.models.se_crosst import SECrossT
from neoresponse.settings import ModelSettings

ALL_THREADS = torch.get_num_threads()


@dataclass(frozen=True)
class TrainedModel:
    """A network with all that is known about it.

    Attributes:
        network: in evaluation mode, on its device.
        settings: its architecture.
        card: what is known about it.
        device: where it runs.
    """

    network: SECrossT
    settings: ModelSettings
    card: ModelCard
    device: torch.device


def choose_device(wish: str) -> torch.device:
    """`auto` takes a GPU where one is; a wish that cannot be met is refused.

    Raises:
        RunError: a GPU is asked for and there is none.
    """
    if wish == "cuda" and not torch.cuda.is_available():
        raise RunError("train.device: expected a CUDA GPU, got none. Set it to auto or cpu.")
    has_gpu = wish != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if has_gpu else "cpu")


def use_threads(num_threads: int | None) -> None:
    """Bound the processor threads, or take all; the same number gives the same bytes."""
    torch.set_num_threads(num_threads or ALL_THREADS)


def load_model(folder: Path, *, device: str = "auto") -> TrainedModel:
    """Read a run folder's model, or a model bundle.

    Args:
        folder: a run folder or a bundle.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        RunError: it is neither, a file differs from its hash, or the parts do not fit together.
    """
    bundle = folder / "model" if (folder / "model").is_dir() else folder
    card, weights = load_bundle(bundle)
    chosen = choose_device(device)
    try:
        settings = card.architecture
        # The bundle holds all weights: none are fetched or looked for.
        plain = settings.model_copy(update={"weights": None, "pretrained": False})
        network = build_model(plain, image_px=card.input.prepare.image_px)
        network.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError, ConfigError) as error:
        raise RunError(
            f"{bundle}: expected weights that fit the network of model.json, got "
            f"{type(error).__name__}. Take a bundle as train wrote it."
        ) from error
    return TrainedModel(network.eval().to(chosen), settings, card, chosen)
