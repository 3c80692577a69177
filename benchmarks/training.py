"""What of a training step is spent outside forward, backward and step; time of an epoch; memory.

    python benchmarks/training.py [--recipes guo2024,modern] [--image-px 512] [--batch-size 2]
        [--steps 3]

It takes steps of each recipe at its own network and size, on random pixels, after one to warm up,
and stops the time of the parts of the loop: making a batch (picked, varied, standardised), forward
with the loss, backward, the optimiser's step, and all the rest (seeds, plan, norms, readings, the
average of weights). Shares are of one and the same run, so a busy machine blurs them little. On a
GPU every part waits for the device, which makes a step longer than it is. The recipe's epoch is
extrapolated from the steps, and from a few validation patients.

Then a process of its own takes two steps, and the largest memory it had is compared with what
`memory.estimate_memory` says before the start.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from made_up_training import made_up_of, take_epoch

from neoresponse.data.dataset import Dataset
from neoresponse.models.build import build_model
from neoresponse.settings import RunSettings
from neoresponse.settings.toml import run_settings
from neoresponse.training import loop
from neoresponse.training.arrange import arrange, choose_algorithms, keep_memory
from neoresponse.training.fit import Fitted
from neoresponse.training.memory import estimate_memory
from neoresponse.training.predict import patient_probability
from neoresponse.training.state import Training, begin

PARTS = ("making a batch", "forward", "backward", "step")
NUM_TRAINING, NUM_PCR, NUM_VALIDATION = 391, 105, 49
WATCHED = 2
"""Validation patients that are timed."""
GIB = 2**30


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipes", default="guo2024,modern")
    parser.add_argument("--image-px", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="two steps, for their memory alone")
    chosen = parser.parse_args()
    choose_algorithms(device())
    keep_memory()
    for name in chosen.recipes.split(","):
        settings = recipe(name, chosen)
        if chosen.memory:
            before = peak_bytes()
            # The second step is the first to have the optimiser's moments beside activations.
            training, fitted = ready(settings, num_steps=2)
            take_epoch(training, fitted, settings)
            print(peak_bytes() - before)
            continue
        print(f"{name}, {chosen.image_px} px, batch {settings.train.batch_size}, {device().type}")
        print_steps(settings, chosen.steps)
        print_memory(name, settings, chosen)
    return 0


def device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def recipe(name: str, chosen: argparse.Namespace) -> RunSettings:
    """A recipe that comes with the software, at another size and batch."""
    pixels = (f"prepare.image_px={chosen.image_px}", f"prepare.region_px={3 * chosen.image_px}")
    return run_settings(name, (*pixels, f"train.batch_size={chosen.batch_size}"))


def ready(settings: RunSettings, *, num_steps: int) -> tuple[Training, Fitted]:
    """A training with enough samples for so many steps."""
    num = max(4, num_steps * settings.train.batch_size)
    label = [row % 2 for row in range(num + WATCHED)]
    fitted = made_up_of(
        label, num, settings, device(), num_samples=num_steps * settings.train.batch_size
    )
    torch.manual_seed(settings.seed)
    network = build_model(settings.model, image_px=settings.prepare.image_px).to(device())
    arrange(network, settings.train)
    return begin(network, settings.train), fitted


def print_steps(settings: RunSettings, num_steps: int) -> None:
    """Shares of a step, and the epoch that follows from it."""
    training, fitted = ready(settings, num_steps=num_steps)
    take_epoch(training, fitted, settings)
    with stopwatch(training) as parts_s:
        before = now()
        take_epoch(training, fitted, settings)
        whole_s = now() - before
    rest_s = whole_s - sum(parts_s.values())
    outside = (parts_s["making a batch"] + rest_s) / whole_s
    shares = ", ".join(f"{name} {100 * parts_s[name] / whole_s:.1f} %" for name in PARTS)
    print(f"  {shares}, the rest {100 * rest_s / whole_s:.1f} %")
    print(f"  outside forward, backward and step: {100 * outside:.1f} % of {whole_s:.1f} s")
    before = now()
    rows = fitted.validation_rows[:WATCHED]
    patient_probability(training.model, fitted.dataset, rows, precision=fitted.precision)
    validation_s = (now() - before) / WATCHED * NUM_VALIDATION
    num = num_samples(settings)
    steps_s = whole_s / num_steps / settings.train.batch_size * num
    print(
        f"  an epoch of {num} samples: {(steps_s + validation_s) / 60:.0f} min, of it "
        f"{validation_s / 60:.1f} min validation (extrapolated from {num_steps} steps of "
        f"{settings.train.batch_size} and {WATCHED} patients)"
    )


def num_samples(settings: RunSettings) -> int:
    """Samples of an epoch of the study."""
    augment = settings.train.augment
    balanced = NUM_TRAINING + (2 * NUM_PCR if augment.flips else 0)
    return balanced * (1 + augment.num_variants) * augment.us_factor


@contextmanager
def stopwatch(training: Training) -> Iterator[dict[str, float]]:
    """Inside, seconds of each part of the loop."""
    parts_s = dict.fromkeys(PARTS, 0.0)

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:  # noqa: ANN401 (whatever the call takes)
            before = now()
            result = call(*args, **named)
            parts_s[name] += now() - before
            return result

        return run

    places: list[tuple[object, str, str]] = [
        (Dataset, "training_batch", "making a batch"),
        (loop, "batch_logits", "forward"),
        (loop, "sample_losses", "forward"),
        (torch.Tensor, "backward", "backward"),
        (training.optimiser, "step", "step"),
    ]
    with ExitStack() as stack:
        for place, attribute, name in places:
            call = timed(name, getattr(place, attribute))
            stack.enter_context(mock.patch.object(place, attribute, call))
        yield parts_s


def now() -> float:
    """Seconds, once the device has done what it was given."""
    if device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def print_memory(name: str, settings: RunSettings, chosen: argparse.Namespace) -> None:
    """Estimate beside what two steps took in a process of its own."""
    memory = estimate_memory(settings, is_half=device().type == "cuda")
    words = [sys.executable, __file__, "--memory", "--recipes", name]
    words += ["--image-px", str(chosen.image_px), "--batch-size", str(chosen.batch_size)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    taken = int(done.stdout.split()[-1])
    needed = memory.needed(settings.train.batch_size)
    print(
        f"  memory: estimated {needed / GIB:.2f} GiB ({memory.sample_bytes / GIB:.2f} a sample, "
        f"{memory.fixed_bytes / GIB:.2f} fixed), network and two steps took {taken / GIB:.2f} "
        f"GiB: {taken / needed:.2f} times"
    )


def peak_bytes() -> int:
    """The largest memory so far."""
    if device().type == "cuda":
        return torch.cuda.max_memory_allocated()
    # Not getrusage, whose largest size a process inherits from the one that started it.
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


if __name__ == "__main__":
    sys.exit(main())
