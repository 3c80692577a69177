"""What several processes that train together give, and whether they are one.

    python benchmarks/data_parallel.py [--processes 2] [--steps 8]

The same batches of made-up pixels are trained on by one process, by one that takes each step in as
many parts as there are processes, and by that many processes under torchrun. Printed are the
largest difference of a parameter after two epochs of so many steps; seconds per step of the second
epoch, and processor seconds of the first process, which other programs hardly change; and what the
exchange of a step costs, without anything else going on.

On processors each process has one thread, and numbers go over gloo. Where there are GPUs, each
process takes one, and numbers go over NCCL.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from made_up_training import made_up_of, take_epoch
from safetensors.torch import load_file, save_file

from neoresponse.models.build import build_model
from neoresponse.settings import RunSettings
from neoresponse.training.arrange import choose_algorithms, keep_memory
from neoresponse.training.state import Training, begin
from neoresponse.training.team import Team, open_team

WATCHED = 4
"""Patients to validate; none of them is."""


def main() -> int:
    """Run all three, each in processes of its own, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8, help="of each of two epochs")
    parser.add_argument("--image-px", type=int, default=64)
    parser.add_argument("--embed-dim", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--leave", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.leave is not None:
        with open_team() as team:
            work(chosen, team)
        return 0
    num = chosen.processes
    part = -(-chosen.batch_size // num)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = run(chosen, folder / "one", 1)
        in_parts = run(chosen, folder / "parts", 1, "--micro-batch", str(part))
        many = run(chosen, folder / "many", num)
        print(f"{device_words()}, torch {torch.__version__}; {many['num_parameters']:,} parameters")
        print(f"batch {chosen.batch_size}, {chosen.image_px} px, 2 x {chosen.steps} steps")
        for words, other in (("one process", "one"), (f"one process, {num} parts", "parts")):
            apart = largest_difference(folder / "many", folder / other)
            print(f"  {num} processes against {words}: parameters differ by {apart:.1e} at most")
    rows = {"one process": one, f"one process, {num} parts": in_parts, f"{num} processes": many}
    for words, row in rows.items():
        times = " and ".join(
            f"{row[key]:.3f} {unit} ({one[key] / row[key]:.2f} times as fast as one)"
            for key, unit in (("step_s", "s a step"), ("cpu_s", "processor s in each"))
        )
        print(f"  {words}: {times}")
    exchange_s = many["add_up_s"] + many["ask_s"]
    print(
        f"  the exchange alone {1000 * exchange_s:.1f} ms a step "
        f"({100 * exchange_s / many['step_s']:.1f} %): gradients {1000 * many['add_up_s']:.1f} ms, "
        f"whether to stop {1000 * many['ask_s']:.2f} ms"
    )
    return 0


def run(chosen: argparse.Namespace, leave: Path, num: int, *more: str) -> dict[str, Any]:
    """Train in so many processes; what the first one measured."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num)]
    words = [sys.executable, *launcher, __file__, "--leave", str(leave), *more]
    for name in ("steps", "image_px", "embed_dim", "batch_size"):
        words += [f"--{name.replace('_', '-')}", str(getattr(chosen, name))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    measured: dict[str, Any] = json.loads(leave.with_suffix(".json").read_text())
    return measured


def work(chosen: argparse.Namespace, team: Team) -> None:
    """What each process does; the first one leaves weights and times."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    choose_algorithms(device)
    keep_memory()
    settings = settings_of(chosen)
    torch.manual_seed(settings.seed)
    network = build_model(settings.model, image_px=chosen.image_px).to(device)
    num = chosen.steps * chosen.batch_size
    label = [row % 2 for row in range(num + WATCHED)]
    fitted = made_up_of(label, num, settings, device, num_samples=num)
    training = begin(network, settings.train)
    take_epoch(training, fitted, settings)
    before_s = time.process_time()
    step_s = seconds(lambda: take_epoch(training, fitted, settings), team) / chosen.steps
    cpu_s = (time.process_time() - before_s) / chosen.steps
    weights = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    measured = {
        "num_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "step_s": step_s,
        "cpu_s": cpu_s,
        **exchange(training, torch.zeros(chosen.batch_size, device=device)),
    }
    if team.is_first:
        save_file(weights, chosen.leave)
        chosen.leave.with_suffix(".json").write_text(json.dumps(measured))


def settings_of(chosen: argparse.Namespace) -> RunSettings:
    """The published recipe on small images, with a network of all inputs."""
    side, width = chosen.image_px, chosen.embed_dim
    return RunSettings.model_validate(
        {
            "prepare": {"image_px": side, "region_px": 3 * side},
            "model": {
                "embed_dim": width,
                "depths": [1, 1, 2, 1],
                "num_heads": [1, 2, 4, 8],
                "group_size": 4,
            },
            "train": {
                "batch_size": chosen.batch_size,
                "micro_batch": chosen.micro_batch,
                "augment": {"flips": False, "num_variants": 0, "us_factor": 1},
            },
        }
    )


def exchange(training: Training, losses: torch.Tensor) -> dict[str, float]:
    """Seconds of the exchanges of a step, the median of some, with all processes at hand."""
    team = training.team

    def median(call: Callable[[], object]) -> float:
        times_s = sorted(seconds(call, team) for _ in range(21))
        return times_s[len(times_s) // 2]

    return {
        "add_up_s": median(lambda: team.add_up(training.model, losses)),
        "ask_s": median(lambda: team.most(0)),
    }


def seconds(call: Callable[[], object], team: Team) -> float:
    """How long a call takes that all processes begin together."""
    wait(team)
    before = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - before


def wait(team: Team) -> None:
    """Until all processes, and their GPUs, are here."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    team.most(0)


def largest_difference(one: Path, two: Path) -> float:
    """Of any parameter."""
    ours, theirs = load_file(one), load_file(two)
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


def device_words() -> str:
    """The machine."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}, NCCL"
    return f"{platform.machine()} processor, one thread a process, gloo"


if __name__ == "__main__":
    sys.exit(main())
