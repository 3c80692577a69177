"""Kills trainings with SIGKILL again and again; each, gone on with, must end as if undisturbed.

    python benchmarks/kill_training.py [--trainings 200] [--kills 4]

A training is tiny but whole: `train_run` on a prepared store, with AdamW, a schedule, an average of
weights, weighted sampling, variation drawn at each step and checkpoints within epochs. Every fifth
trains the CrossFormer on ultrasound, with dropped paths; the others the head on clinical variables
alone, which makes them quick.

Processes are forked from one that has torch loaded, and write what they are doing into shared
memory. A training is killed so many times before it may end. Kills are aimed in turn:

- write: the process kills itself inside the writing of a checkpoint: with half of the bytes
  written, before they are flushed, before the file gets its name, after it, or before older
  checkpoints are removed; which of these, and in which of its next writes, is drawn;
- step, validation: from outside, once it is in that part of an epoch, after a drawn fraction of its
  usual time;
- any: from outside, at a drawn time after its start.

What a kill met is not what it was aimed at but what the shared memory says after the death. At the
end the SHA-256 of weights, metrics, the record of shown samples and the last checkpoint, which
holds optimiser and average, are compared with those of the training that nobody disturbed.
"""

import argparse
import hashlib
import json
import mmap
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neoresponse.cohort.split import Assignment
from neoresponse.contracts.store import StoreManifest
from neoresponse.models import checkpoint
from neoresponse.preprocess.store import Store, open_store
from neoresponse.settings import RunSettings
from neoresponse.training import loop
from neoresponse.training.arrange import uncompiled
from neoresponse.training.memory import estimate_memory
from neoresponse.training.optim import make_optimiser
from neoresponse.training.run import train_run

PHASES = ("start", "step", "validation", "write", "between")
AIMS = ("write", "step", "validation", "write", "any")
STAGES = ("half of the bytes", "before flush", "before name", "after name", "before removal")
NUM_TRAIN, NUM_VALIDATION = 16, 6
SEEDS = 10
Call = Callable[..., Any]


def main() -> int:
    """Kill, compare and print; 1 where anything differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trainings", type=int, default=200)
    parser.add_argument("--kills", type=int, default=4, help="of each training, at most")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warm_up()
    rng = random.Random(chosen.seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        trial = Trial(make_store(work / "prepared"), mmap.mmap(-1, 2))
        expected = [trial.undisturbed(work / f"undisturbed-{seed}", seed) for seed in seeds(chosen)]
        met: Counter[str] = Counter()
        stages: Counter[str] = Counter()
        differing = 0
        for number in range(chosen.trainings):
            seed = number % SEEDS
            folder = work / f"killed-{number}"
            trial.torment(folder, seed, num_kills=chosen.kills, rng=rng, found=(met, stages))
            differing += outcome(folder) != expected[seed]
            shutil.rmtree(folder)
    minutes = (time.perf_counter() - began) / 60
    print(f"{chosen.trainings} trainings, {sum(met.values())} SIGKILLs in {minutes:.1f} minutes")
    print("met in: " + ", ".join(f"{phase} {met[phase]}" for phase in PHASES))
    print("of those in a checkpoint write, aimed at: ", end="")
    print(", ".join(f"{stage} {stages[stage]}" for stage in STAGES))
    print(f"{differing} of {chosen.trainings} ended with other bytes than undisturbed")
    return int(differing > 0)


def seeds(chosen: argparse.Namespace) -> range:
    """The seeds that trainings take in turn."""
    return range(min(SEEDS, chosen.trainings))


def warm_up() -> None:
    """Let torch load what it loads at first use; no backward pass, which does not bear a fork."""
    import torch._dynamo

    for seed in (0, 1):
        estimate_memory(settings(seed))
    layer = torch.nn.Linear(1, 1)
    layer.weight.grad = torch.zeros(1, 1)
    make_optimiser(layer, settings(0).train).step()
    with uncompiled(), tempfile.TemporaryDirectory() as folder:
        checkpoint.Checkpoints(Path(folder), "").save({}, {}, name="0")


class Trial:
    """Starts trainings in forked processes, and kills them."""

    def __init__(self, store: Store, shared: mmap.mmap) -> None:
        """Take the store, and two shared bytes: what a process is doing, and how often it began."""
        self._store = store
        self._shared = shared
        self._usual_s = 0.2

    def undisturbed(self, folder: Path, seed: int) -> dict[str, str]:
        """Train to the end; the hashes that all others must reach."""
        began = time.perf_counter()
        if self._wait(self._fork(folder, seed)) != 0:
            raise SystemExit("the undisturbed training failed")
        self._usual_s = time.perf_counter() - began
        return outcome(folder)

    def torment(
        self,
        folder: Path,
        seed: int,
        *,
        num_kills: int,
        rng: random.Random,
        found: tuple[Counter[str], Counter[str]],
    ) -> None:
        """Kill a training so many times, then let it end."""
        met, stages = found
        kills = 0
        while True:
            aim = AIMS[rng.randrange(len(AIMS))] if kills < num_kills else None
            stage = rng.choice(STAGES) if aim == "write" else None
            child = self._fork(folder, seed, stage=stage, nth=rng.randint(1, 2))
            if aim is not None and stage is None:
                self._kill(child, aim, rng)
            status = self._wait(child)
            if status == 0:
                return
            if status != -signal.SIGKILL:
                raise SystemExit(f"{folder.name}: a training that went on ended with {status}")
            kills += 1
            phase = PHASES[self._shared[0]]
            met[phase] += 1
            if stage is not None:
                stages[stage] += 1

    def _fork(self, folder: Path, seed: int, *, stage: str | None = None, nth: int = 1) -> int:
        """Train in a process of its own; it ends with 0, or is killed."""
        self._shared[0] = self._shared[1] = 0
        sys.stdout.flush()
        child = os.fork()
        if child:
            return child
        try:
            mark_phases(self._shared)
            if stage is not None:
                kill_in_write(stage, nth=nth)
            train_run(self._store, assignments(), settings(seed), folder)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(3)

    def _kill(self, child: int, aim: str, rng: random.Random) -> None:
        """Kill from outside when it is where it should be, or at a drawn time."""
        if aim == "any":
            time.sleep(rng.uniform(0, self._usual_s))
        else:
            wanted, nth = PHASES.index(aim), rng.randint(1, 2)
            times, before = 0, -1
            until = time.perf_counter() + 10 * self._usual_s
            while times < nth and time.perf_counter() < until:
                if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                    return
                begun = self._shared[1]
                if self._shared[0] == wanted and begun != before:
                    times, before = times + 1, begun
                    continue
                time.sleep(0.0002)
            time.sleep(rng.uniform(0, 0.004))
        os.kill(child, signal.SIGKILL)  # a child that has ended is a zombie until it is waited for

    @staticmethod
    def _wait(child: int) -> int:
        """Exit status; negative for a signal."""
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def mark_phases(shared: mmap.mmap) -> None:
    """From here on this process says what it is doing."""

    def marked(call: Call, phase: str) -> Call:
        def run(*args: Any, **named: Any) -> Any:  # noqa: ANN401 (whatever the call takes)
            shared[0], shared[1] = PHASES.index(phase), (shared[1] + 1) % 256
            result = call(*args, **named)
            shared[0] = PHASES.index("between")
            return result

        return run

    loop._take_step = marked(loop._take_step, "step")
    loop._validate = marked(loop._validate, "validation")
    checkpoint.Checkpoints.save = marked(checkpoint.Checkpoints.save, "write")  # type: ignore[method-assign]


def kill_in_write(stage: str, *, nth: int) -> None:
    """From here on this process dies inside its nth checkpoint write."""
    writes = 0
    write_bytes, remove = checkpoint.write_bytes, checkpoint.Checkpoints._remove_but

    def write(path: Path, content: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == nth:
            set_trap(stage, path, content)
        write_bytes(path, content)

    def removal(checkpoints: checkpoint.Checkpoints, names: set[str | None]) -> None:
        if writes >= nth and stage == "before removal":
            die()
        remove(checkpoints, names)

    checkpoint.write_bytes = write
    checkpoint.Checkpoints._remove_but = removal  # type: ignore[method-assign]


def set_trap(stage: str, path: Path, content: bytes) -> None:
    """Make the next write of this process its last, at one of its stages."""
    replace = Path.replace

    def name_and_die(part: Path, target: Path) -> None:
        replace(part, target)
        die()

    if stage == "half of the bytes":
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_bytes(content[: len(content) // 2])
        die()
    elif stage == "before flush":
        os.fsync = die
    elif stage == "before name":
        Path.replace = die  # type: ignore[assignment, method-assign]
    elif stage == "after name":
        Path.replace = name_and_die  # type: ignore[assignment, method-assign]


def die(*_args: object, **_named: object) -> None:
    """End as a pulled plug ends it."""
    os.kill(os.getpid(), signal.SIGKILL)


def outcome(folder: Path) -> dict[str, str]:
    """SHA-256 of all that a finished training leaves."""
    files = [
        *(folder / name for name in ("run.json", "metrics.csv", "progress.svg", "samples.csv")),
        *sorted((folder / "model").iterdir()),
        *sorted((folder / "shown").iterdir()),
        *sorted((folder / "checkpoints").iterdir()),
    ]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def settings(seed: int) -> RunSettings:
    """A tiny network and a recipe with every kind of state."""
    return RunSettings.model_validate(
        {
            "seed": seed,
            "prepare": {"image_px": 32, "region_px": 96},
            "model": {
                "pathways": ["us_0"] if seed % 5 == 0 else [],
                "embed_dim": 8,
                "depths": [1] * 4,
                "num_heads": [1] * 4,
                "group_size": 4,
                "drop_path": 0.2,
            },
            "train": {
                "epochs": 4,
                "keep_from_epoch": 1,
                "batch_size": 4,
                "optimiser": "adamw",
                "weight_decay": 0.05,
                "schedule": "cosine",
                "warmup_epochs": 1,
                "sampling": "weighted",
                "ema_decay": 0.9,
                "clip_norm": 1.0,
                "save_every_steps": 2,
                "device": "cpu",
                "num_threads": 1,
                "augment": {"flips": False, "num_variants": 0, "us_factor": 1},
                "vary": {"max_rotation_deg": 10, "speckle": 0.2, "gain": 0.1},
            },
        }
    )


def assignments() -> list[Assignment]:
    """Every third patient has pCR."""
    splits = ["train"] * NUM_TRAIN + ["validation"] * NUM_VALIDATION
    return [
        Assignment(f"P{row:02d}", "primary", split, int(row % 3 == 0), False)
        for row, split in enumerate(splits)
    ]


def make_store(folder: Path) -> Store:
    """A prepared store of random pixels."""
    folder.mkdir()
    num = NUM_TRAIN + NUM_VALIDATION
    rng = np.random.default_rng(0)
    shapes = {"us_0": [num, 32, 32], "us_1": [num, 32, 32], "biopsy": [num, 9, 3, 32, 32]}
    for name, shape in shapes.items():
        np.save(folder / f"{name}.npy", rng.integers(256, size=shape).astype(np.uint8))
    patients = [
        {
            "patient_id": assignment.patient_id,
            "label": assignment.label,
            "is_multifocal": False,
            "clinical": {"ki67_percent": float(rng.integers(90))},
            "available": ["biopsy", "us_0", "us_1", "clinical"],
            "machine": None,
            "centre": None,
        }
        for assignment in assignments()
    ]
    manifest = {
        "schema": StoreManifest.SCHEMA,
        "cohort_name": "random pixels",
        "is_simulated": True,
        "settings": settings(0).prepare.model_dump(mode="json"),
        "shapes": shapes,
        "patients": patients,
    }
    (folder / StoreManifest.FILE_NAME).write_text(json.dumps(manifest))
    return open_store(folder)


if __name__ == "__main__":
    sys.exit(main())
