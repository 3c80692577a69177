"""What a device does in a training step, in a few groups of operators."""

from typing import Any
from unittest import mock

from made_up_training import take_epoch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from neoresponse.data.dataset import Dataset
from neoresponse.models.se_crosst import SECrossT
from neoresponse.settings import RunSettings
from neoresponse.training.arrange import arrange
from neoresponse.training.fit import Fitted
from neoresponse.training.state import begin

GROUPS = ("products", "attention", "norms and elementwise", "optimiser", "batch making")
PRODUCTS = ("aten::mm", "aten::addmm")
ATTENTION = ("aten::bmm", "aten::baddbmm", "aten::_softmax", "aten::_softmax_backward_data")
"""Operators of attention where it is written out; a fused one has it in its name."""


def profile_steps(
    network: SECrossT, fitted: Fitted, settings: RunSettings, *, num_steps: int
) -> dict[str, float]:
    """Train an epoch to warm up and one that is looked at.

    Args:
        network: with drawn weights.
        fitted: as many samples as the steps need.
        settings: of the training.
        num_steps: of an epoch.

    Returns:
        Group of operators -> seconds of a step that the device works on it.
    """
    arrange(network, settings.train)
    training = begin(network, settings.train)
    on_gpu = fitted.dataset.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    make = Dataset.training_batch

    def marked(*args: Any, **named: Any) -> Any:  # noqa: ANN401 (whatever the call takes)
        with record_function("batch making"):
            return make(*args, **named)

    with mock.patch.object(Dataset, "training_batch", marked):
        take_epoch(training, fitted, settings)
        with profile(activities=activities) as found:  # waits for the GPU at its end
            take_epoch(training, fitted, settings)
    busy_s = dict.fromkeys(GROUPS, 0.0)
    for event in found.events():
        if event.device_type.name == "CPU":  # has what it gave to the GPU
            micros = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            busy_s[group_of(event)] += micros / 1e6 / num_steps
    return busy_s


def group_of(event: FunctionEvent) -> str:
    """Which group an operator belongs to, by its name and by what called it."""
    names = []
    caller: FunctionEvent | None = event
    while caller is not None:
        names.append(caller.name)
        caller = caller.cpu_parent
    if any(name.startswith("Optimizer.") for name in names):
        return "optimiser"
    if "batch making" in names:
        return "batch making"
    if event.name in ATTENTION or "attention" in event.name:
        return "attention"
    if event.name in PRODUCTS or "convolution" in event.name:
        return "products"
    return "norms and elementwise"
