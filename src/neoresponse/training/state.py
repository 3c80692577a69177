"""All state of a training, in and out of named tensors and JSON; nothing else has to be saved.

Learning rate, order, patches, dropped paths and variation are functions of seed, epoch and step.
So where a training stands is its weights, the optimiser's moments, the average of the weights, and
the numbers of `Progress`.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, cast

import torch
from pydantic import JsonValue
from torch import Tensor

from neoresponse.models.se_crosst import SECrossT
from neoresponse.settings import TrainSettings
from neoresponse.training.average import WeightAverage
from neoresponse.training.optim import make_optimiser, restore_state, state_tensors
from neoresponse.training.progress import Progress
from neoresponse.training.team import Team, current_team

_WEIGHTS, _KEPT = "weights/", "kept/"


@dataclass
class Training:
    """A training under way.

    Attributes:
        model: the network.
        optimiser: of its weights.
        average: of its weights, or None.
        progress: how far it has come.
        kept: weights of the kept epoch, on the CPU.
        team: the processes that train it.
    """

    model: SECrossT
    optimiser: torch.optim.Optimizer
    average: WeightAverage | None
    progress: Progress = field(default_factory=Progress)
    kept: dict[str, Tensor] = field(default_factory=dict)
    team: Team = field(default_factory=current_team)

    def keep(self) -> None:
        """The network's weights, as they are now, are those of the kept epoch."""
        self.progress.kept_epoch = self.progress.epoch - 1
        state = self.model.state_dict()
        self.kept = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}

    def take_over(self) -> None:
        """All processes get the first's weights: each has seen other samples in its norms."""
        self.team.take_over(self.model.state_dict().values())
        if self.average is not None:
            self.team.take_over(self.average.tensors().values())

    def tensors(self) -> dict[str, Tensor]:
        """Everything that is no plain number."""
        return {
            **{f"{_WEIGHTS}{name}": tensor for name, tensor in self.model.state_dict().items()},
            **state_tensors(self.optimiser, self.model),
            **(self.average.tensors() if self.average is not None else {}),
            **{f"{_KEPT}{name}": tensor for name, tensor in self.kept.items()},
        }

    def state(self) -> dict[str, JsonValue]:
        """Everything that is."""
        return asdict(self.progress)

    def restore(self, tensors: dict[str, Tensor], state: dict[str, object]) -> None:
        """Go on from what `tensors` and `state` gave."""
        self.model.load_state_dict(_under(_WEIGHTS, tensors))
        restore_state(self.optimiser, self.model, tensors)
        if self.average is not None:
            self.average.restore(tensors)
        self.kept = _under(_KEPT, tensors)
        self.progress = Progress(**cast(Any, state))  # as `state` gave it: numbers keep their kind


def begin(model: SECrossT, settings: TrainSettings) -> Training:
    """A training before its first step."""
    average = None if settings.ema_decay is None else WeightAverage(model, settings.ema_decay)
    return Training(model, make_optimiser(model, settings), average)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose name starts so, without that start."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
