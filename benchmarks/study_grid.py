"""What a second worker brings: the same trainings one after the other, and two at once.

    python benchmarks/study_grid.py [--runs 4] [--epochs 6] [--patients 240]

It makes a small phantom, prepares it once, and lets a study train the same network with as many
seeds, first with one worker and then with two, each with one processor thread. It prints the time
from the first training's start to the last one's end, their ratio (2 is the most there is to gain),
the peak memory of the study's own process, and whether both gave the same bytes.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from neoresponse.durable import sha256_of
from neoresponse.grid.watch import JobState
from neoresponse.phantom.writer import write_phantom
from neoresponse.settings import StudySettings
from neoresponse.settings.toml import run_settings
from neoresponse.study import run_study


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--patients", type=int, default=240)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = study(folder, chosen)
        first = folder / "one"
        times = {1: train(settings, first, num_workers=1)}
        second = folder / "two"
        second.mkdir()
        for part in ("check", "split", "prepared"):  # the steps before training count in neither
            shutil.copytree(first / part, second / part)
        times[2] = train(settings, second, num_workers=2)
        is_same = weights(first) == weights(second)
    print(f"{chosen.runs} trainings, {chosen.epochs} epochs, {chosen.patients} patients")
    print(f"one worker {times[1]:.1f} s, two workers {times[2]:.1f} s: {times[1] / times[2]:.2f} x")
    print(f"same bytes: {'yes' if is_same else 'NO'}")
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of the study's own process: {peak_gib:.2f} GiB")
    return 0 if is_same else 1


def study(folder: Path, chosen: argparse.Namespace) -> StudySettings:
    """A study of the demo's network on a new phantom."""
    settings = run_settings(
        "demo",
        (
            f"phantom.num_patients={chosen.patients}",
            f"train.epochs={chosen.epochs}",
            "train.keep_from_epoch=0",
            "train.device=cpu",
            "explain.num_patients=1",
            "evaluate.replicates=200",
        ),
    )
    content = settings.model_dump()
    content["split"]["sizes"] = None
    write_phantom(folder / "phantom", settings.phantom, seed=1, num_workers=2)
    seeds = list(range(1, chosen.runs + 1))
    content |= {"cohort": folder / "phantom" / "cohort", "seeds": seeds}
    return StudySettings.model_validate(content)


def train(settings: StudySettings, folder: Path, *, num_workers: int) -> float:
    """Run the study; seconds of its trainings."""
    seen: list[float] = []

    def watch(_states: Sequence[JobState], _left_s: float | None) -> None:
        seen.append(time.monotonic())

    compute = settings.compute.model_copy(update={"workers": num_workers})
    run_study(settings.model_copy(update={"compute": compute}), folder, watch=watch)
    return seen[-1] - seen[0]


def weights(folder: Path) -> list[str]:
    """Hashes of what was learnt."""
    return [sha256_of(path) for path in sorted(folder.glob("seeds/*/model/weights.safetensors"))]


if __name__ == "__main__":
    sys.exit(main())
