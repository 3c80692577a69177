"""Small networks and made-up patients, for every test of the network."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from neoresponse.models.build import build_model
from neoresponse.models.se_crosst import SECrossT
from neoresponse.settings import ModelSettings

SIDE = 32
TINY: dict[str, Any] = {  # maps of 8, 4, 2 and 1 tokens a side: padding, and both distances
    "embed_dim": 16,
    "depths": (2, 1, 1, 1),
    "num_heads": (1, 2, 2, 4),
    "group_size": 3,
}
Inputs = tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny() -> Callable[..., SECrossT]:
    """Build a small network in evaluation mode; settings by keyword.

    What starts at zero is drawn too, unless the network is wanted `as_built`.
    """

    def build(
        *, seed: int = 1, side: int = SIDE, as_built: bool = False, **changes: Any
    ) -> SECrossT:
        torch.manual_seed(seed)
        model = build_model(ModelSettings(**{**TINY, **changes}), image_px=side).eval()
        for name, parameter in model.named_parameters():
            if not as_built and ("coherence" in name or "time_point" in name):
                torch.nn.init.normal_(parameter, std=0.1)
        return model

    return build


@pytest.fixture
def patients() -> Callable[..., Inputs]:
    """Make the inputs of some patients, all complete."""

    def make(num: int = 3, *, seed: int = 2, side: int = SIDE) -> Inputs:
        generator = torch.Generator().manual_seed(seed)
        images = {
            name: torch.randn(num, 3, side, side, generator=generator)
            for name in ("biopsy", "us_0", "us_1")
        }
        available = {name: torch.ones(num, dtype=torch.bool) for name in images}
        available["clinical"] = torch.ones(num, 4, dtype=torch.bool)
        return images, torch.randn(num, 4, generator=generator), available

    return make
