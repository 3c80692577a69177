"""Times the network on a processor: six architectures, our trunk beside a plain one, a patient.

    python benchmarks/network.py [architectures] [twin] [patient] [excitation]
        [--networks crossformer,resnet50] [--sides 224] [--repeats 3] [--threads 2]

Without a word it does all. Each architecture, and each side of the comparison with the plain trunk,
runs in a process of its own. What is compared takes turns, and the fastest of the repeats counts:
another program on the machine only adds time.
"""

import argparse
import dataclasses
import json
import multiprocessing as mp
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import numpy as np
import torch
from plain_crossformer import plain_forward
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from neoresponse.models.build import build_model
from neoresponse.models.crossformer import NAMED_SIZES, CrossFormer, CrossFormerSizes
from neoresponse.models.linear import has_bfloat16
from neoresponse.models.se_crosst import SECrossT
from neoresponse.settings import ModelSettings, TrainSettings
from neoresponse.training.arrange import keep_memory
from neoresponse.training.optim import make_optimiser

NETWORKS = {
    "SE-CrossT": "crossformer",
    "VGG16": "vgg16",
    "ResNet50": "resnet50",
    "DenseNet121": "densenet121",
    "ViT": "vit_small_patch16_224",
    "Swin": "swin_tiny_patch4_window7_224",
}
IMAGES = ("biopsy", "us_0", "us_1")
PARTS = ("architectures", "twin", "patient", "excitation")
TARGETS = {"inference, float32": 1.15, "inference, bfloat16": 1.9, "training, bfloat16": 1.8}
"""How many times faster than the plain trunk in float32 ours shall be."""
SIDES = ("plain", "+ allocator", "+ precision", "ours")
TWIN_TITLE = """Trunk of size S, SE off, one image of {side} px; training is forward and backward.
  plain: the eager twin in float32, with the allocator as it comes
  + allocator: the same, with our allocator settings
  + precision: the same, and under the same autocast as ours
Targets are about plain, the first of the three ratios."""
Inputs = tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]


def main() -> None:
    """Read the command line, run the parts, print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--networks", default=",".join(NETWORKS.values()))
    parser.add_argument("--sides", default="224,512")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a child measures one network
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    sides = [int(side) for side in chosen.sides.split(",")]
    if chosen.one:
        print(json.dumps(measure_network(chosen.one, sides[0], repeats=chosen.repeats)))
        return
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"unknown part {sorted(unknown)}; choose from {list(PARTS)}")
    print(f"torch {torch.__version__}, {processor()}, {chosen.threads} threads\n")
    for part in chosen.parts or PARTS:
        if part == "architectures":
            print_architectures(chosen.networks.split(","), sides, chosen.repeats, chosen.threads)
        elif part == "twin":
            print_twin(max(sides), chosen.repeats, chosen.threads)
        elif part == "patient":
            print_patient(max(sides), chosen.repeats)
        else:
            print_excitation(max(sides), chosen.repeats)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Help as it is written above."""


def processor() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model na")]
    except OSError:
        names = []
    return names[0] if names else "unknown processor"


def print_architectures(
    backbones: Sequence[str], sides: Sequence[int], repeats: int, threads: int
) -> None:
    """One row per network and image side; each measured in a child, for its memory alone."""
    print("One sample (biopsy patch, US-0, US-1) through the whole network, float32.")
    print("network      side   params   GFLOPs  forward   training step  peak memory, each")
    names = {backbone: name for name, backbone in NETWORKS.items()}
    for backbone in backbones:
        for side in sides:
            command = [sys.executable, __file__, "--one", backbone, "--sides", str(side)]
            command += ["--repeats", str(repeats), "--threads", str(threads)]
            child = subprocess.run(command, capture_output=True, text=True, check=True)
            row = json.loads(child.stdout.splitlines()[-1])
            print(
                f"{names.get(backbone, backbone):12s} {side:4d} {row['params'] / 1e6:6.1f} M "
                f"{row['flops'] / 1e9:8.1f} {row['forward_s']:7.2f} s {row['step_s']:9.2f} s "
                f"{row['forward_mib']:11.0f} / {row['step_mib']:.0f} MiB",
                flush=True,
            )
    print()


def measure_network(backbone: str, side: int, *, repeats: int) -> dict[str, float]:
    """Size, work, times and memory of one network, in this process.

    Returns:
        params; flops of one forward pass (two per multiply-add); forward_s and step_s, the fastest
        of the repeats; forward_mib and step_mib, the process's peak up to there.
    """
    keep_memory()
    network = build_model(ModelSettings(backbone=backbone), image_px=side)
    inputs = make_inputs(1, side)
    row = {"params": float(sum(p.numel() for p in network.parameters()))}
    row["forward_s"] = fastest([inference(network.eval(), inputs)], repeats)[0]
    row["forward_mib"] = peak_mib()
    row["step_s"] = fastest([training_step(network.train(), inputs)], repeats)[0]
    row["step_mib"] = peak_mib()
    row["flops"] = forward_flops(network, inputs)
    return row


def forward_flops(network: SECrossT, inputs: Inputs) -> float:
    """Floating-point operations of a forward pass; moves the network to where nothing is computed.

    There every attention is products and a softmax. On a processor torch has kernels of its own for
    it, which are not counted.
    """
    images, clinical, available = inputs
    counter = FlopCounterMode(display=False)
    with counter:
        network.to("meta")(
            {name: image.to("meta") for name, image in images.items()},
            clinical.to("meta"),
            {name: known.to("meta") for name, known in available.items()},
        )
    return float(counter.get_total_flops())


def make_inputs(num: int, side: int) -> Inputs:
    """Random patients, all complete."""
    generator = torch.Generator().manual_seed(0)
    images = {n: torch.randn(num, 3, side, side, generator=generator) for n in IMAGES}
    available = {n: torch.ones(num, dtype=torch.bool) for n in IMAGES}
    available["clinical"] = torch.ones(num, 4, dtype=torch.bool)
    return images, torch.randn(num, 4, generator=generator), available


def inference(network: SECrossT, inputs: Inputs) -> Callable[[], object]:
    """A forward pass without gradients."""
    return torch.inference_mode()(lambda: network(*inputs))


def training_step(network: SECrossT, inputs: Inputs) -> Callable[[], object]:
    """Forward, backward and Adam."""
    optimiser = make_optimiser(network, TrainSettings(learning_rate=1e-6))

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        network(*inputs).sum().backward()
        optimiser.step()

    return step


def fastest(calls: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Least seconds of each call, one untimed round, then in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for number in range(repeats + 1):
        for call, taken in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start if number else float("inf"))
    return [min(taken) for taken in times]


def peak_mib() -> float:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_twin(side: int, repeats: int, threads: int) -> None:
    """Our trunk beside the plain one, S size, SE off: with group 8, then as published."""
    published = NAMED_SIZES["S"]
    eight = dataclasses.replace(published, group_sizes=(8, 8, 8, 8), intervals=None)
    print(TWIN_TITLE.format(side=side))
    if not has_bfloat16():
        print("bfloat16 is left out: this processor has no instructions for it.")
    for title, sizes in (("group 8, no padding", eight), ("as published, group 7", published)):
        sizes = dataclasses.replace(sizes, drop_path=0.0)
        differences, times = compare_with_twin(sizes, side, repeats=repeats, threads=threads)
        largest = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
        print(f"\n{title}: outputs differ by {largest} at most")
        print(f"{'seconds':22s}" + "".join(f"{name:>13s}" for name in SIDES), "  ours is faster by")
        for name, taken in times.items():
            target = f"   target >= {TARGETS[name]}" if name in TARGETS else ""
            ratios = ", ".join(f"{seconds / taken[-1]:.2f}" for seconds in taken[:-1])
            print(f"{name:22s}" + "".join(f"{t:13.3f}" for t in taken), f"  {ratios}{target}")
    print()


def compare_with_twin(
    sizes: CrossFormerSizes, side: int, *, repeats: int, threads: int
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Three processes that take turns: plain, plain with our allocator, ours.

    Returns:
        Number format -> largest difference of the outputs; what -> least seconds of each of SIDES.
    """
    shared = {"sizes": sizes, "side": side, "threads": threads}
    kinds = ((False, False), (False, True), (True, True))
    workers = [start_side({**shared, "is_ours": own, "keeps": keeps}) for own, keeps in kinds]
    stock, kept, ours = (pipe for pipe, _ in workers)
    formats = ("float32", "bfloat16") if has_bfloat16() else ("float32",)
    differences = {}
    for number_format in formats:
        both = [torch.tensor(_ask(pipe, f"output, {number_format}")) for pipe in (stock, ours)]
        differences[number_format] = float((both[0] - both[1]).abs().max())
    times = {}
    for mode in ("inference", "training"):
        for number_format in formats:
            what, plain = f"{mode}, {number_format}", f"{mode}, float32"
            asked = ((stock, plain), (kept, plain), (kept, what), (ours, what))
            once = list(dict.fromkeys(asked))  # in float32 two sides are one
            taken = fastest([partial(_ask, *each) for each in once], repeats)
            times[what] = [dict(zip(once, taken, strict=True))[each] for each in asked]
    for pipe, worker in workers:
        pipe.send("stop")
        worker.join()
    return differences, times


def start_side(options: dict[str, Any]) -> tuple[Connection, SpawnProcess]:
    """Start one side in its process; should it die, reading from it fails."""
    context = mp.get_context("spawn")
    here, there = context.Pipe()
    worker = context.Process(target=serve_side, args=(there, options), daemon=True)
    worker.start()
    there.close()  # else this process would hold it open, and wait for ever
    return here, worker


def _ask(pipe: Connection, what: str) -> Any:  # noqa: ANN401 (a list of numbers, or None)
    """Have a side do something and wait for it."""
    pipe.send(what)
    return pipe.recv()


def serve_side(pipe: Connection, options: dict[str, Any]) -> None:
    """One side in its process: does what it is asked, one thing at a time."""
    torch.set_num_threads(options["threads"])
    if options["keeps"]:
        keep_memory()
    torch.manual_seed(0)
    model = CrossFormer(options["sizes"])
    images = torch.randn(1, 3, options["side"], options["side"])
    # Of a sum the gradient would be zero everywhere: a layer norm comes before it.
    cotangent = torch.randn(1, model.num_features)
    run: Callable[[Tensor], Tensor] = model
    if not options["is_ours"]:
        run = lambda given: plain_forward(model, given)  # noqa: E731
    while (asked := pipe.recv()) != "stop":
        what, number_format = asked.split(", ")
        model.train(what == "training")
        is_half = number_format == "bfloat16"
        autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_half)
        with torch.inference_mode(what != "training"), autocast:
            pooled = run(images)
        if what == "training":
            (pooled.float() * cotangent).sum().backward()  # type: ignore[no-untyped-call]
            model.zero_grad(set_to_none=True)
        pipe.send(pooled.float().tolist() if what == "output" else None)


def print_patient(side: int, repeats: int) -> None:
    """How often a whole patient of nine patches goes through a trunk, and how long it takes."""
    keep_memory()
    print(f"A whole patient, nine patches, {side} px, size T, float32:")
    for is_shared in (False, True):
        network = build_model(ModelSettings(share_ultrasound_trunk=is_shared), image_px=side).eval()
        passes, call = patient_call(network, side)
        seconds = fastest([call], repeats)[0]
        num_passes = passes[-1]
        kind = "shared ultrasound trunk" if is_shared else "a trunk per pathway"
        print(f"  {kind:24s} {num_passes} trunk passes, {seconds:.2f} s, "
              f"{1000 * seconds / num_passes:.0f} ms each")  # fmt: skip
    print()


def patient_call(network: SECrossT, side: int) -> tuple[list[int], Callable[[], object]]:
    """A call that predicts one patient, and a list that gets the images of all trunks per call."""
    images, clinical, available = make_inputs(1, side)
    patches = torch.randn(1, 9, 3, side, side)
    others = {name: image for name, image in images.items() if name != "biopsy"}
    passes: list[int] = []

    def count(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        passes[-1] += len(given[0])

    for trunk, _ in network.streams():
        trunk.register_forward_pre_hook(count)

    @torch.inference_mode()
    def call() -> None:
        passes.append(0)
        network.predict_patient(patches, others, clinical, available)

    return passes, call


def print_excitation(side: int, repeats: int) -> None:
    """Squeeze-and-excitation's share of a training step; both networks take turns."""
    keep_memory()
    inputs = make_inputs(1, side)
    steps = []
    for has_se in (True, False):
        torch.manual_seed(0)
        network = build_model(ModelSettings(se=has_se), image_px=side).train()
        steps.append(training_step(network, inputs))
    pairs = [[seconds_of(step) for step in steps] for _ in range(repeats + 1)][1:]
    shares = [(on - off) / on for on, off in pairs]
    on, off = (min(column) for column in zip(*pairs, strict=True))
    print(f"A training step of one sample, {side} px, size T, float32:")
    print(f"  SE on {on:.3f} s, off {off:.3f} s: {100 * (on - off) / on:.1f} % of the step; "
          f"median of pairs {100 * np.median(shares):.1f} %   target <= 3 %\n")  # fmt: skip


def seconds_of(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
