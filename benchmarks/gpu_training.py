"""Times training on one CUDA GPU: the whole recipe at 512 px, SE-CrossT and the five baselines.

    python benchmarks/gpu_training.py [--networks crossformer,resnet50] [--batch-size 64]
        [--steps 30] [--compile] [--whole] [--dry-run]

It trains through the software's own loop, on made-up pixels that lie on the GPU as a prepared store
does. Each network trains twice, on few and on more steps: the difference is the time of a step,
what is left is the time of an epoch's end (validation of 49 patients, and its state on disk). The
whole recipe, 60 epochs of 12,020 samples, follows from both; --whole trains all of it instead.
"""

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from neoresponse.config import AugmentSettings, RunSettings
from neoresponse.data.augment import Samples, draw_samples
from neoresponse.data.dataset import Dataset, Standardisation
from neoresponse.models.attention import fused_attention, plain_attention
from neoresponse.models.build import build_model
from neoresponse.preprocess.clinical import ClinicalEncoder
from neoresponse.preprocess.store import Store
from neoresponse.training.arrange import choose_algorithms
from neoresponse.training.fit import Fitted
from neoresponse.training.loop import train_network

T = TypeVar("T")
NETWORKS = (
    "crossformer",
    "vgg16",
    "resnet50",
    "densenet121",
    "vit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
)
INPUTS = ("biopsy", "us_0", "us_1")
NUM_TRAINING, NUM_PCR, NUM_VALIDATION = 391, 105, 49
EPOCHS, SAMPLES = 60, 12_020


@dataclasses.dataclass(frozen=True)
class Speed:
    """How fast a network trains.

    Attributes:
        batch_size: samples per step that fitted into memory.
        step_s: seconds of a step.
        end_s: seconds of an epoch's end.
        tflop_per_sample: forward and backward.
        peak_gib: largest memory of the GPU.
    """

    batch_size: int
    step_s: float
    end_s: float
    tflop_per_sample: float
    peak_gib: float

    @property
    def epoch_s(self) -> float:
        """Seconds of an epoch of all samples."""
        return -(-SAMPLES // self.batch_size) * self.step_s + self.end_s


def main() -> int:
    """Measure and print; 2 where there is no GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--compile", action="store_true", help="train.compile = true")
    parser.add_argument("--whole", action="store_true", help="train all 60 epochs, measured")
    parser.add_argument("--dry-run", action="store_true", help="tiny, on the processor: a test")
    chosen = parser.parse_args()
    if not chosen.dry_run and not torch.cuda.is_available():
        print("This measures a CUDA GPU and there is none here; --dry-run tries the script out.")
        return 2
    device = torch.device("cpu" if chosen.dry_run else "cuda")
    choose_algorithms(device)
    peak = matmul_peak(device, side=256 if chosen.dry_run else 8192)
    name = "dry run on the processor" if chosen.dry_run else torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}; bf16 matmul peak {peak:.1f} TFLOP/s, measured\n")
    print_attention(device, num_groups=4 if chosen.dry_run else 64 * 256)
    for network in ("crossformer",) if chosen.dry_run else chosen.networks.split(","):
        settings = recipe(network, chosen)
        if chosen.whole:
            print_whole(network, settings, device)
        else:
            print_speed(network, measure(settings, device, steps=chosen.steps), peak)
    return 0


def recipe(network: str, chosen: argparse.Namespace) -> RunSettings:
    """The published recipe in bf16, or a toy of it."""
    train = {
        "batch_size": chosen.batch_size,
        "precision": "bfloat16",
        "compile": chosen.compile,
        "epochs": EPOCHS if chosen.whole else 3,
        "keep_from_epoch": 40 if chosen.whole else 0,
    }
    if not chosen.dry_run:
        model: dict[str, Any] = {"backbone": network}
        return RunSettings.model_validate({"model": model, "train": train})
    model = {"embed_dim": 16, "depths": [1] * 4, "num_heads": [1] * 4, "group_size": 4}
    toy = {"image_px": 32, "region_px": 96}
    small = {**train, "batch_size": 2, "epochs": 3, "keep_from_epoch": 0}
    return RunSettings.model_validate({"model": model, "train": small, "prepare": toy})


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


def measure(settings: RunSettings, device: torch.device, *, steps: int) -> Speed:
    """Train on few and on more steps; with half the batch where memory does not suffice."""
    size = settings.train.batch_size
    steps = max(1, min(steps, SAMPLES // (3 * size)))
    try:
        few = epoch_seconds(settings, device, num_samples=steps * size)
        more = epoch_seconds(settings, device, num_samples=3 * steps * size)
    except torch.cuda.OutOfMemoryError:
        if size == 1:
            raise
        torch.cuda.empty_cache()
        smaller = settings.train.model_copy(update={"batch_size": size // 2})
        return measure(settings.model_copy(update={"train": smaller}), device, steps=2 * steps)
    step_s = (more - few) / (2 * steps)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    return Speed(size, step_s, few - steps * step_s, sample_flops(settings) / 1e12, peak)


def epoch_seconds(settings: RunSettings, device: torch.device, *, num_samples: int) -> float:
    """Seconds of the fastest epoch but the first, which warms up."""
    taken = train_timed(settings, device, num_samples=num_samples)
    return min(taken[1:])


def train_timed(settings: RunSettings, device: torch.device, *, num_samples: int) -> list[float]:
    """Train in a folder that is thrown away; seconds of each epoch."""
    torch.manual_seed(settings.seed)
    network = build_model(settings.model, image_px=settings.prepare.image_px).to(device)
    fitted = made_up(settings, device, num_samples=num_samples)
    marks: list[float] = []

    def track(items: Iterable[T], *, name: str, total: int | None = None) -> Iterator[T]:
        for item in items:
            marks.append(time.perf_counter())
            yield item
            wait(device)
        marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        train_network(network, fitted, settings, Path(folder), track=track)
    return [after - before for before, after in pairwise(marks)]


def made_up(settings: RunSettings, device: torch.device, *, num_samples: int) -> Fitted:
    """As many patients as the study had, their random pixels on the device, and their samples."""
    num = NUM_TRAINING + NUM_VALIDATION
    side, patches = settings.prepare.image_px, settings.prepare.num_patches
    shapes = {"biopsy": (num, patches, 3, side, side), "us_0": (num, side, side)}
    shapes["us_1"] = shapes["us_0"]
    resident = {
        name: torch.randint(256, shape, dtype=torch.uint8, device=device)
        for name, shape in shapes.items()
    }
    label = [1] * NUM_PCR + [0] * (NUM_TRAINING - NUM_PCR) + [1] * 13 + [0] * 36
    store = made_up_store(settings, label)
    standardisation = Standardisation(
        mean={name: (0.5,) for name in INPUTS}, deviation={name: (0.3,) for name in INPUTS}
    )
    dataset = Dataset(
        store=store,
        arrays={},
        resident=resident,
        standardisation=standardisation,
        clinical=torch.randn(num, 4, device=device),
        is_known=torch.ones(num, 4, dtype=torch.bool, device=device),
        inputs=INPUTS,
        device=device,
    )
    ids = [patient.patient_id for patient in store.patients[:NUM_TRAINING]]
    rows = range(NUM_TRAINING)
    samples = draw_samples(ids, rows, label[:NUM_TRAINING], AugmentSettings(), seed=1)
    validation = tuple(range(NUM_TRAINING, num))
    encoder = ClinicalEncoder(levels={}, numbers={})
    return Fitted(encoder, standardisation, dataset, first(samples, num_samples), validation)


def made_up_store(settings: RunSettings, label: list[int]) -> Store:
    """What a prepared store says of its patients; it has no files."""
    patients = [
        {
            "patient_id": f"P{row:03d}",
            "label": outcome,
            "is_multifocal": False,
            "clinical": {},
            "available": list(INPUTS),
            "machine": None,
            "centre": None,
        }
        for row, outcome in enumerate(label)
    ]
    content = {"patients": patients, "settings": settings.prepare.model_dump(mode="json")}
    return Store(folder=Path(), manifest=content)


def first(samples: Samples, num: int) -> Samples:
    """The first samples alone."""
    columns = {
        field.name: getattr(samples, field.name)[:num] for field in dataclasses.fields(samples)
    }
    return Samples(**columns)


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
    end_share = speed.end_s / speed.epoch_s
    print(
        f"{network}: batch {speed.batch_size}, step {1000 * speed.step_s:.1f} ms, "
        f"{rate:.0f} patients/s, {rate * len(INPUTS):.0f} images/s, {tflops:.1f} TFLOP/s = "
        f"{100 * tflops / peak:.0f} % of the peak, {speed.peak_gib:.1f} GiB\n"
        f"  epoch of {SAMPLES} samples {speed.epoch_s:.1f} s (its end {100 * end_share:.0f} %), "
        f"{EPOCHS} epochs {EPOCHS * speed.epoch_s / 60:.1f} min (extrapolated)",
        flush=True,
    )


def print_whole(network: str, settings: RunSettings, device: torch.device) -> None:
    """Train the whole recipe."""
    taken = train_timed(settings, device, num_samples=SAMPLES)
    print(
        f"{network}: {len(taken)} epochs of {SAMPLES} samples in {sum(taken) / 60:.1f} min, "
        f"first epoch {taken[0]:.1f} s, fastest {min(taken):.1f} s (measured)",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
