"""Times training on one CUDA GPU: the whole recipe at 512 px, SE-CrossT and the five baselines.

    python benchmarks/gpu_training.py [--networks crossformer,crossformer:S,resnet50]
        [--batch-size 64] [--steps 30] [--set section.key=value] [--attention plain]
        [--any-order] [--whole] [--dry-run]

It trains through the software's own loop, on made-up pixels that lie on the GPU as a prepared store
does. Between two waits for the GPU it times the steps of an epoch, and apart from them its end: the
prediction of 49 validation patients, and the state on disk. The whole recipe, 60 epochs of 12,020
samples, follows from both; --whole trains all of it instead. A few more steps are profiled, to say
what the GPU does in a step.

In training a sample is one patient seen once: one patch, US-0 and US-1. So samples/s are
patients/s, and images/s are three times as many. In validation and prediction a patient is whole:
nine patches, US-0 and US-1, eleven images.
"""

import argparse
import dataclasses
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import torch
from made_up_training import INPUTS, NUM_VALIDATION, start
from step_profile import profile_steps
from torch.utils.flop_counter import FlopCounterMode

from neoresponse.models import attention
from neoresponse.models.attention import fused_attention, plain_attention
from neoresponse.models.build import build_model
from neoresponse.settings import RunSettings, merge
from neoresponse.settings.toml import load_section
from neoresponse.training import loop
from neoresponse.training.arrange import choose_algorithms, choose_precision
from neoresponse.training.predict import patient_probability

T = TypeVar("T")
NETWORKS = (
    "crossformer",
    "crossformer:S",
    "vgg16",
    "resnet50",
    "densenet121",
    "vit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
)
EPOCHS, SAMPLES = 60, 12_020
WHOLE_IMAGES = 11  # nine patches, US-0, US-1
PROFILED_STEPS = 3


@dataclasses.dataclass(frozen=True)
class Epoch:
    """Seconds of an epoch: of its steps, of the prediction of validation patients, of all of it."""

    steps_s: float
    validation_s: float
    whole_s: float


@dataclasses.dataclass(frozen=True)
class Speed:
    """How fast a network trains.

    Attributes:
        batch_size: samples per step that fitted into memory.
        step_s: seconds of a step.
        validation_s: seconds of the prediction of all validation patients.
        saving_s: seconds of the rest of an epoch's end: its state, on disk.
        tflop_per_sample: forward and backward.
        peak_gib: largest memory of the GPU, pixels included.
        busy_s: what of -> seconds of a step that the device works on it.
    """

    batch_size: int
    step_s: float
    validation_s: float
    saving_s: float
    tflop_per_sample: float
    peak_gib: float
    busy_s: dict[str, float]

    @property
    def epoch_s(self) -> float:
        """Seconds of an epoch of all samples."""
        return -(-SAMPLES // self.batch_size) * self.step_s + self.validation_s + self.saving_s


def main() -> int:
    """Measure and print; 2 where there is no GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="a.b=c")
    parser.add_argument("--attention", choices=["fused", "plain"], default="fused")
    parser.add_argument("--any-order", action="store_true", help="sums need not repeat themselves")
    parser.add_argument("--whole", action="store_true", help="train all 60 epochs, measured")
    parser.add_argument("--dry-run", action="store_true", help="tiny, on the processor: a test")
    chosen = parser.parse_args()
    if not chosen.dry_run and not torch.cuda.is_available():
        print("This measures a CUDA GPU and there is none here; --dry-run tries the script out.")
        return 2
    device = torch.device("cpu" if chosen.dry_run else "cuda")
    choose_algorithms(device)
    torch.use_deterministic_algorithms(not chosen.any_order, warn_only=True)
    if chosen.attention == "plain":
        attention.fused_attention = attention.plain_attention
    peak = matmul_peak(device, side=256 if chosen.dry_run else 8192)
    name = "dry run on the processor" if chosen.dry_run else torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}; bf16 matmul peak {peak:.1f} TFLOP/s, measured")
    named = [*chosen.changes, f"{chosen.attention} attention", *["any order"] * chosen.any_order]
    print(f"trained in {choose_precision('auto', device)}; {', '.join(named)}\n")
    print_attention(device, num_groups=4 if chosen.dry_run else 64 * 256)
    for network in ("crossformer",) if chosen.dry_run else chosen.networks.split(","):
        settings = recipe(network, chosen)
        if chosen.whole:
            print_whole(network, *with_room(partial(train_whole, device=device), settings))
        else:
            speed = with_room(partial(measure, device=device, steps=chosen.steps), settings)
            print_speed(network, speed, peak)
    return 0


def recipe(network: str, chosen: argparse.Namespace) -> RunSettings:
    """The published recipe, or a toy of it; in bf16 where the GPU has it, as by default."""
    train = {
        "batch_size": chosen.batch_size,
        "epochs": EPOCHS if chosen.whole else 3,
        "keep_from_epoch": 40 if chosen.whole else 0,
    }
    if not chosen.dry_run:
        content = {"model": model_settings(network), "train": train}
        return RunSettings.model_validate(merge(content, load_section(None, chosen.changes)))
    model: dict[str, Any] = {"embed_dim": 16, "depths": [1] * 4, "num_heads": [1] * 4}
    model["group_size"] = 4
    toy = {"image_px": 32, "region_px": 96}
    small = {**train, "batch_size": 2, "epochs": 3, "keep_from_epoch": 0}
    return RunSettings.model_validate({"model": model, "train": small, "prepare": toy})


def model_settings(network: str) -> dict[str, Any]:
    """`backbone`, or `crossformer:SIZE`, as settings."""
    backbone, _, size = network.partition(":")
    return {"backbone": backbone, **({"size": size} if size else {})}


def matmul_peak(device: torch.device, *, side: int) -> float:
    """TFLOP/s of the product of two square bf16 matrices, the best of ten."""
    left, right = torch.randn(2, side, side, device=device, dtype=torch.bfloat16)
    seconds = min(timed(lambda: left @ right, device) for _ in range(10))
    return 2 * side**3 / seconds / 1e12


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call, until the device is done."""
    wait(device)
    start = time.perf_counter()
    call()
    wait(device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    """Until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def print_attention(device: torch.device, *, num_groups: int) -> None:
    """Fused and written-out attention of one stage-1 block, forward and backward."""
    query, key, value = torch.randn(
        3, 1, num_groups, 2, 64, 32, device=device, dtype=torch.bfloat16, requires_grad=True
    ).unbind(0)
    bias = torch.randn(1, 2, 64, 64, device=device, dtype=torch.bfloat16, requires_grad=True)
    for name, attend in (("fused", fused_attention), ("written out", plain_attention)):
        call = lambda a=attend: a(query, key, value, bias).sum().backward(retain_graph=True)  # noqa: E731
        seconds = min(timed(call, device) for _ in range(10))
        print(f"attention, {num_groups} groups of 64 tokens, {name}: {1000 * seconds:.2f} ms")
    print()


def with_room(call: Callable[[RunSettings], T], settings: RunSettings) -> T:
    """Call with these settings, or half the batch, or half of that, until memory suffices."""
    while True:
        # What the last network or attempt held: an error is gone only here, with its traceback.
        gc.collect()
        torch.cuda.empty_cache()
        done = _unless_full(call, settings)
        if done is not None:
            return done
        half = settings.train.model_copy(update={"batch_size": settings.train.batch_size // 2})
        settings = settings.model_copy(update={"train": half})


def _unless_full(call: Callable[[RunSettings], T], settings: RunSettings) -> T | None:
    """What the call gives; None where memory does not suffice and the batch can be halved."""
    try:
        return call(settings)
    except torch.cuda.OutOfMemoryError:
        if settings.train.batch_size == 1:
            raise
        return None


def measure(settings: RunSettings, device: torch.device, *, steps: int) -> Speed:
    """Train some short epochs; the first warms up, of the others the fastest counts."""
    size = settings.train.batch_size
    steps = max(1, min(steps, SAMPLES // size))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    epochs = train_timed(settings, device, num_samples=steps * size)[1:]
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    network, fitted = start(settings, device, num_samples=PROFILED_STEPS * size)
    return Speed(
        batch_size=size,
        step_s=min(epoch.steps_s for epoch in epochs) / steps,
        validation_s=min(epoch.validation_s for epoch in epochs),
        saving_s=min(epoch.whole_s - epoch.steps_s - epoch.validation_s for epoch in epochs),
        tflop_per_sample=sample_flops(settings) / 1e12,
        peak_gib=peak,
        busy_s=profile_steps(network, fitted, settings, num_steps=PROFILED_STEPS),
    )


def train_whole(settings: RunSettings, device: torch.device) -> tuple[int, list[Epoch]]:
    """Train the whole recipe; the batch, and what each epoch took."""
    return settings.train.batch_size, train_timed(settings, device, num_samples=SAMPLES)


def train_timed(settings: RunSettings, device: torch.device, *, num_samples: int) -> list[Epoch]:
    """Train in a folder that is thrown away; what each epoch took."""
    network, fitted = start(settings, device, num_samples=num_samples)
    marks: list[float] = []
    steps_s: list[float] = []
    validation_s: list[float] = []

    def track(items: Iterable[T], *, name: str, total: int | None = None) -> Iterator[T]:
        for item in items:
            marks.append(time.perf_counter())
            yield item
            wait(device)
        marks.append(time.perf_counter())

    timed_steps = stopped(loop.take_steps, device, steps_s)
    timed_validation = stopped(patient_probability, device, validation_s)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(loop, "take_steps", timed_steps),
        mock.patch.object(loop, "patient_probability", timed_validation),
    ):
        loop.train_network(network, fitted, settings, loop.Place(Path(folder), track=track))
    whole_s = [after - before for before, after in pairwise(marks)]
    return [Epoch(*parts) for parts in zip(steps_s, validation_s, whole_s, strict=True)]


def stopped(call: Callable[..., T], device: torch.device, taken: list[float]) -> Callable[..., T]:
    """The same call; it notes its seconds, from one wait for the device to the next."""

    def timed_call(*args: Any, **named: Any) -> T:  # noqa: ANN401 (whatever the call takes)
        wait(device)
        before = time.perf_counter()
        result = call(*args, **named)
        wait(device)
        taken.append(time.perf_counter() - before)
        return result

    return timed_call


def sample_flops(settings: RunSettings) -> float:
    """Floating-point operations of one sample, forward and backward; nothing is computed."""
    side = settings.prepare.image_px
    with torch.device("meta"):
        network = build_model(settings.model, image_px=side)
        images = {name: torch.empty(1, 3, side, side) for name in INPUTS}
        available = {name: torch.empty(1, dtype=torch.bool) for name in INPUTS}
        available["clinical"] = torch.empty(1, 4, dtype=torch.bool)
        clinical = torch.empty(1, 4)
    counter = FlopCounterMode(display=False)
    with counter:
        network(images, clinical, available).sum().backward()
    return float(counter.get_total_flops())


def print_speed(network: str, speed: Speed, peak: float) -> None:
    """What follows from the measured steps."""
    rate = speed.batch_size / speed.step_s
    tflops = rate * speed.tflop_per_sample
    whole_rate = NUM_VALIDATION / speed.validation_s
    busy_s = {**speed.busy_s, "idle": max(0.0, speed.step_s - sum(speed.busy_s.values()))}
    parts = ", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in busy_s.items())
    end_s = speed.validation_s + speed.saving_s
    print(
        f"{network}: batch {speed.batch_size}, step {1000 * speed.step_s:.1f} ms, "
        f"{speed.peak_gib:.1f} GiB\n"
        f"  training: {rate:.0f} patients/s, {rate * len(INPUTS):.0f} images/s, "
        f"{tflops:.1f} TFLOP/s = {100 * tflops / peak:.0f} % of the peak\n"
        f"  ms of a step, as profiled: {parts}\n"
        f"  validation: {whole_rate:.0f} whole patients/s, "
        f"{whole_rate * WHOLE_IMAGES:.0f} images/s\n"
        f"  epoch of {SAMPLES} samples: {speed.epoch_s:.1f} s, of it its end {end_s:.1f} s "
        f"(validation {speed.validation_s:.1f}, state {speed.saving_s:.1f}); "
        f"{EPOCHS} epochs: {EPOCHS * speed.epoch_s / 60:.1f} min (extrapolated)",
        flush=True,
    )


def print_whole(network: str, batch_size: int, epochs: list[Epoch]) -> None:
    """What the whole recipe took."""
    whole_s = [epoch.whole_s for epoch in epochs]
    end_s = sum(epoch.whole_s - epoch.steps_s for epoch in epochs)
    print(
        f"{network}: batch {batch_size}, {len(epochs)} epochs of {SAMPLES} samples in "
        f"{sum(whole_s) / 60:.1f} min, their ends {end_s / 60:.1f} min of it, first epoch "
        f"{whole_s[0]:.1f} s, fastest {min(whole_s):.1f} s (measured)",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
