"""Everything of ours on one CUDA GPU, in one go: is it right, does it repeat, how fast is it.

    python benchmarks/gpu_check.py OUT [--parts agreement,repeats,speed,training] [--dry-run]

- `agreement`: every network's logits and gradients on the GPU beside those of the CPU, in float32,
  and bfloat16 beside float32.
- `repeats`: every network is trained twice for two epochs, and once more with a stop in between.
  The weights must have the same bytes; what torch warns of is listed.
- `speed`: `gpu_training.py` for the recipe at 512 px, sizes T and S, and for the five baselines.
- `training`: a phantom is simulated and SE-CrossT is trained on it, beside the best possible.

Each part is a process of its own with a time limit; what it prints is kept in OUT/PART.txt. The
phantom of `training` is made while the other parts use the GPU. Exit code 0: all parts ended well.
"""

import argparse
import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from gpu_training import NETWORKS, model_settings
from made_up_training import INPUTS, start
from torch import Tensor

from neoresponse.data.forward import Precision, autocast
from neoresponse.models.build import build_model
from neoresponse.settings import RunSettings, Section
from neoresponse.training import loop
from neoresponse.training.arrange import choose_algorithms

HERE = Path(__file__).resolve().parent
CONFIG = HERE.parent / "configs" / "gpu_check.toml"
PARTS = {"agreement": 150, "repeats": 150, "speed": 420, "training": 200}
"""Part -> seconds it may take."""
STEPS = 4
ONE_TRUNK = {"pathways": ["dou_ult"]}
"""States on disk are a third as large."""
TOY = {"embed_dim": 16, "depths": [1] * 4, "num_heads": [1] * 4, "group_size": 4}


def main() -> int:
    """Run the parts one after the other; 2 where there is no GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--do", choices=[*PARTS, "phantom"], help="one part, in this process")
    parser.add_argument("--dry-run", action="store_true", help="tiny, on the CPU: a test")
    chosen = parser.parse_args()
    if not chosen.dry_run and not torch.cuda.is_available():
        print("This measures a CUDA GPU and there is none here; --dry-run tries the script out.")
        return 2
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.do:
        return do_part(chosen.do, chosen.out, is_dry=chosen.dry_run)
    parts = chosen.parts.split(",")
    command = [sys.executable, str(Path(__file__).resolve()), str(chosen.out)]
    command += ["--dry-run"] * chosen.dry_run
    phantom = None
    if "training" in parts:
        with (chosen.out / "phantom.txt").open("w") as said:
            phantom = subprocess.Popen([*command, "--do", "phantom"], stdout=said, stderr=said)
    ends = [run_part(command, part, chosen.out, after=phantom) for part in parts]
    return int(any(ends))


def run_part(
    command: list[str], part: str, out: Path, *, after: subprocess.Popen[bytes] | None
) -> int:
    """Run a part in a process of its own, show what it says, keep it; its exit code."""
    started = time.monotonic()
    if part == "training" and after is not None:
        after.wait()
    code = 0
    with (out / f"{part}.txt").open("w") as said:
        try:
            code = subprocess.run(
                [*command, "--do", part], stdout=said, stderr=said, timeout=PARTS[part], check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = 124
    print(f"== {part}: exit code {code}, {time.monotonic() - started:.0f} s")
    print((out / f"{part}.txt").read_text(), flush=True)
    return code


def do_part(part: str, out: Path, *, is_dry: bool) -> int:
    """One part, here."""
    device = torch.device("cpu" if is_dry else "cuda")
    if part == "agreement":
        print_agreement(device, is_dry=is_dry)
    elif part == "repeats":
        return print_repeats(device, is_dry=is_dry)
    elif part == "speed":
        return speed(is_dry=is_dry)
    elif part == "phantom":
        return simulate(out, is_dry=is_dry)
    else:
        return train(out, is_dry=is_dry)
    return 0


def networks(*, is_dry: bool) -> Iterable[str]:
    """Which networks are looked at."""
    return ("crossformer",) if is_dry else NETWORKS


def settings_of(
    network: str, *, image_px: int, is_dry: bool, model: Section | None = None, **train: object
) -> RunSettings:
    """A short training of a network."""
    named = {**(TOY if is_dry else model_settings(network)), **(model or {})}
    side = 32 if is_dry else image_px
    content = {
        "model": named,
        "prepare": {"image_px": side, "region_px": 3 * side},
        "train": {"batch_size": 4, "epochs": 2, "keep_from_epoch": 0, "keep": "last", **train},
    }
    return RunSettings.model_validate(content)


def print_agreement(device: torch.device, *, is_dry: bool) -> None:
    """Logits and gradients of one batch: GPU beside CPU, bfloat16 beside float32."""
    choose_algorithms(device)
    print("network | logits, GPU - CPU | gradients, GPU - CPU | bf16 logits | bf16 gradients")
    for name in networks(is_dry=is_dry):
        settings = settings_of(name, image_px=256, is_dry=is_dry)
        reference = forward_backward(settings, torch.device("cpu"), "float32")
        single = forward_backward(settings, device, "float32")
        half = forward_backward(settings, device, "bfloat16")
        figures = [*apart(single, reference), *apart(half, single)]
        print(name, *(f"{figure:.1e}" for figure in figures), sep=" | ", flush=True)


def forward_backward(
    settings: RunSettings, device: torch.device, precision: Precision
) -> tuple[Tensor, Tensor]:
    """Logits and all gradients of a drawn batch through a drawn network, as float64 on the CPU."""
    torch.manual_seed(settings.seed)
    side = settings.prepare.image_px
    network = build_model(settings.model, image_px=side).to(device)
    images = {name: torch.randn(4, 3, side, side).to(device) for name in INPUTS}
    clinical = torch.randn(4, 4).to(device)
    available = {name: torch.ones(4, dtype=torch.bool, device=device) for name in INPUTS}
    available["clinical"] = torch.ones(4, 4, dtype=torch.bool, device=device)
    network.train()
    with autocast(device, precision):
        logits = network(images, clinical, available)
    cotangent = torch.tensor([1.0, -0.5, 0.25, 2.0], device=device)
    (logits.float().flatten() * cotangent).sum().backward()
    gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    return logits.detach().double().cpu(), torch.cat(gradients).double().cpu()


def apart(ours: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Relative distance of logits, and of gradients: norm of the difference over the norm."""
    logits, gradients = (
        float((one - other).norm() / other.norm())
        for one, other in zip(ours, reference, strict=True)
    )
    return logits, gradients


def print_repeats(device: torch.device, *, is_dry: bool) -> int:
    """Trainings of the same settings, one of them stopped and continued; 1 where bytes differ."""
    choose_algorithms(device)
    differ = 0
    for name in networks(is_dry=is_dry):
        for precision in ("auto", "float32") if name == "crossformer" else ("auto",):
            settings = settings_of(
                name, image_px=128, is_dry=is_dry, model=ONE_TRUNK, precision=precision
            )
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                once, again = (trained(settings, device) for _ in range(2))
                resumed = trained(settings, device, stop_after=1)
            said = {str(warning.message).split(".")[0][:110] for warning in caught}
            same = f"repeated {once == again}, resumed {once == resumed}"
            print(f"{name}, {precision}: {same}", *sorted(said), sep="\n    ", flush=True)
            differ += once != again or once != resumed
    return int(bool(differ))


class StoppedError(Exception):
    """A training was stopped on purpose."""


def trained(settings: RunSettings, device: torch.device, *, stop_after: int | None = None) -> str:
    """Train, with a stop after some epochs where asked for; SHA-256 of the weights."""

    def stopping(items: Iterable[int], **_: object) -> Iterator[int]:
        for number, item in enumerate(items):
            if number == stop_after:
                raise StoppedError
            yield item

    with tempfile.TemporaryDirectory() as folder:
        if stop_after is not None:
            network, fitted = start(settings, device, num_samples=STEPS * 4)
            place = loop.Place(Path(folder), track=stopping)  # type: ignore[arg-type]
            with contextlib.suppress(StoppedError):
                loop.train_network(network, fitted, settings, place)
        network, fitted = start(settings, device, num_samples=STEPS * 4)
        loop.train_network(network, fitted, settings, loop.Place(Path(folder)))
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def speed(*, is_dry: bool) -> int:
    """Both sizes with many steps, the baselines with few."""
    script = [sys.executable, str(HERE / "gpu_training.py")]
    if is_dry:
        return subprocess.run([*script, "--dry-run", "--steps", "1"], check=False).returncode
    own = [*script, "--networks", "crossformer,crossformer:S", "--steps", "20"]
    others = [*script, "--networks", ",".join(NETWORKS[2:]), "--steps", "8"]
    return max(subprocess.run(command, check=False).returncode for command in (own, others))


def simulate(out: Path, *, is_dry: bool) -> int:
    """The phantom of the training."""
    small = ["--patients", "24"] if is_dry else []
    command = [sys.executable, "-m", "neoresponse", "phantom", str(out / "phantom")]
    return subprocess.run([*command, "--config", str(CONFIG), *small], check=False).returncode


def train(out: Path, *, is_dry: bool) -> int:
    """A study on the phantom, and its AUCs beside the best possible."""
    study, cohort = out / "study", json.dumps(str((out / "phantom" / "cohort").resolve()))
    truth = json.dumps(str((out / "phantom" / "truth").resolve()))
    changes = [f"cohort={cohort}", f"truth={truth}"]
    if is_dry:
        changes += ["split.sizes=[12,4,4]", "train.epochs=1", "train.keep_from_epoch=0"]
        changes += ["train.warmup_epochs=0", "train.device=cpu", "model.embed_dim=16"]
    command = [sys.executable, "-m", "neoresponse", "study", str(CONFIG), str(study)]
    started = time.monotonic()
    done = subprocess.run([*command, *(f"--set={change}" for change in changes)], check=False)
    print(f"study: {time.monotonic() - started:.0f} s")
    if done.returncode == 0:
        print(aucs(study / "evaluation" / "metrics.json"))
    return done.returncode


def aucs(path: Path) -> str:
    """AUC of every run in every test cohort, beside the best possible of the same inputs."""
    lines = ["run | cohort | AUC (95% CI) | best possible of the same inputs"]
    for limit in json.loads(path.read_text())["limits"]:
        got, best = limit["reached"], limit["best"]["value"]
        interval = ", ".join(
            "?" if end is None else f"{end:.3f}" for end in (got["low"], got["high"])
        )
        row = (limit["run"], limit["cohort"], f"{got['value']:.3f} ({interval})", f"{best:.3f}")
        lines.append(" | ".join(row))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
