"""How much memory a training needs, told before it starts; and what fits where it does not.

The estimate runs the network once without numbers and adds up what the backward pass will need.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from neoresponse.errors import RunError
from neoresponse.models.build import build_model
from neoresponse.models.se_crosst import BIOPSY
from neoresponse.settings import RunSettings
from neoresponse.training.arrange import recompute_activations
from neoresponse.training.fit import Fitted
from neoresponse.training.team import current_team

_GIB = 2**30
_CPU_MESSAGE = "can't allocate memory"
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """What a training needs.

    Attributes:
        fixed_bytes: weights, gradients, the optimiser's moments, the average of the weights.
        sample_bytes: activations that one sample leaves for the backward pass, and its images.
    """

    fixed_bytes: int
    sample_bytes: int

    def needed(self, num_samples: int) -> int:
        """Bytes of a step with so many samples in memory at once."""
        return self.fixed_bytes + num_samples * self.sample_bytes

    def that_fit(self, free_bytes: int) -> int:
        """How many samples fit at once; 0 where none does."""
        return max(0, (free_bytes - self.fixed_bytes) // self.sample_bytes)


def check_memory(fitted: Fitted, settings: RunSettings) -> None:
    """Refuse a training that cannot fit, before its first step.

    Processes that train together on one machine share the memory of its processors.

    Raises:
        RunError: it needs more than is free; it says what fits.
    """
    device = fitted.dataset.device
    free = free_bytes(device)
    if free is None:
        return
    free = free // current_team().local_size if device.type == "cpu" else free
    memory = estimate_memory(settings, is_half=fitted.precision == "bfloat16")
    num = at_once(settings)
    if memory.needed(num) > free:
        raise RunError(_say(settings, num, fit=memory.that_fit(free), memory=memory, free=free))


def estimate_memory(settings: RunSettings, *, is_half: bool = False) -> Memory:
    """What a training needs, from its settings alone; no tensor is filled.

    Args:
        settings: the run.
        is_half: whether activations are bfloat16; they are then taken to need half.
    """
    plain = settings.model.model_copy(update={"weights": None, "pretrained": False})
    with torch.device("meta"):
        network = build_model(plain, image_px=settings.prepare.image_px)
    if settings.train.checkpoint_activations:
        recompute_activations(network)
    own = {tensor.untyped_storage()._cdata for tensor in network.state_dict().values()}
    held: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        held.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    batch = _nothing(settings, network.inputs, pools_patches=network.pools_patches)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network.train()(*batch)
    saved = sum(t.untyped_storage().nbytes() for key, t in held.items() if key not in own)
    images = sum(image.nbytes for image in batch[0].values())
    weights = sum(parameter.nbytes for parameter in network.parameters())
    copies = 4 if settings.train.ema_decay is None else 5
    return Memory(copies * weights, (saved // 2 if is_half else saved) + images)


def free_bytes(device: torch.device) -> int | None:
    """Memory that is free on a device; None where the system does not say."""
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    bounds = [_available(), _left_in_group()]
    known = [bound for bound in bounds if bound is not None]
    return min(known) if known else None


def total_bytes() -> int | None:
    """Memory of this machine, or of the container; None where the system does not say."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
    except OSError:
        limit = ""
    bounds = [_meminfo("MemTotal:"), int(limit) if limit.isdigit() else None]
    known = [bound for bound in bounds if bound is not None]
    return min(known) if known else None


@contextmanager
def say_what_fits(fitted: Fitted, settings: RunSettings) -> Iterator[None]:
    """Turn running out of memory inside into a sentence that says which batch fits.

    Raises:
        RunError: memory did not suffice.
    """
    device = fitted.dataset.device
    free = free_bytes(device)
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        is_out = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not is_out and _CPU_MESSAGE not in str(error):
            raise
        memory = estimate_memory(settings, is_half=fitted.precision == "bfloat16")
        num = at_once(settings)
        fit = num // 2 if free is None else min(num // 2, memory.that_fit(free))
        raise RunError(_say(settings, num, fit=fit, memory=memory, free=free)) from error


def at_once(settings: RunSettings) -> int:
    """Samples that one process has in memory at once."""
    share = current_team().largest_share(settings.train.batch_size)
    return min(settings.train.micro_batch or share, share)


def _nothing(
    settings: RunSettings, inputs: tuple[str, ...], *, pools_patches: bool
) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]:
    """What the network takes for one sample, without numbers."""
    side = settings.prepare.image_px
    with torch.device("meta"):
        images = {name: torch.empty(1, 3, side, side) for name in inputs}
        if pools_patches and BIOPSY in images:
            images[BIOPSY] = torch.empty(1, settings.prepare.num_patches, 3, side, side)
        available = {name: torch.empty(1, dtype=torch.bool) for name in inputs}
        available["clinical"] = torch.empty(1, 4, dtype=torch.bool)
        return images, torch.empty(1, 4), available


def _available() -> int | None:
    """Memory that Linux says a new program may take."""
    return _meminfo("MemAvailable:")


def _meminfo(key: str) -> int | None:
    """A number of bytes that Linux keeps under this name."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(key)]
    return 1024 * int(found[0]) if found else None


def _left_in_group() -> int | None:
    """What is left of the limit of a container; None where there is no limit."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        cached = (_CGROUP / "memory.stat").read_text().split()
    except (OSError, ValueError):
        return None
    if not limit.isdigit():
        return None
    inactive = int(cached[cached.index("inactive_file") + 1]) if "inactive_file" in cached else 0
    return int(limit) - used + inactive


def _say(settings: RunSettings, num: int, *, fit: int, memory: Memory, free: int | None) -> str:
    """What was needed, what is there, what to do."""
    has = "less is free" if free is None else f"{free / _GIB:.1f} GiB are free"
    if fit >= 1:
        advice = f"Set train.micro_batch = {fit}: steps stay those of batch_size, in parts that fit"
    else:
        more = (
            "" if settings.train.checkpoint_activations else "train.checkpoint_activations = true, "
        )
        advice = f"Not even one fits: set {more}a smaller prepare.image_px or model.size"
    return (
        f"train.batch_size: expected memory for {num} samples at once, which take about "
        f"{memory.needed(num) / _GIB:.1f} GiB ({memory.sample_bytes / _GIB:.2f} GiB each), got "
        f"too little: {has}. {advice}."
    )
