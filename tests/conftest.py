"""What many tests need, built once: a small phantom, its store, its split, a trained run."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from neoresponse.cohort.split import Assignment, split_patients
from neoresponse.cohort.validate import CheckedCohort, check_cohort
from neoresponse.phantom.writer import write_phantom
from neoresponse.preprocess.store import Store, open_store, prepare_store
from neoresponse.settings import RunSettings
from neoresponse.settings.toml import run_settings
from neoresponse.training import loop, memory
from neoresponse.training.run import train_run

torch.set_num_threads(1)  # tiny tensors: threads cost more than they give
SHARED = Path(__file__).resolve().parents[2] / "shared"  # public files with licences of their own
PAGE = "docs/how-to/run-the-tests.md"
TINY = (
    "phantom.num_patients=24",
    "phantom.preset=easy",
    "phantom.frame_px=96",
    "phantom.region_px=96",
    "phantom.mpp=4.0",
    "split.ratio=[4, 3, 3]",
    "prepare.image_px=32",
    "prepare.region_px=96",
    "model.embed_dim=16",
    "model.depths=[1, 1, 1, 1]",
    "model.num_heads=[1, 1, 2, 2]",
    "model.group_size=4",
    "train.epochs=2",
    "train.keep_from_epoch=0",
    "train.augment.num_variants=1",
    "train.augment.us_factor=1",
    "train.device=cpu",
    "train.num_threads=1",
    "explain.stage=2",
    "explain.num_patients=2",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark, for the closing line, the tests that read files from outside the repository."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.user_properties.append(("reads", "public files"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Count in one closing line the tests that read, or lack, files from outside the repository."""
    stats = terminalreporter.stats
    skipped = stats.get("skipped", [])
    is_there = SHARED.is_dir()
    if not is_there:  # one line for all of them, not one each
        stats["skipped"] = [report for report in skipped if not _reads_public_files(report)]
    yield
    stats["skipped"] = skipped
    ended = stats.get("passed", []) + stats.get("failed", []) if is_there else skipped
    if num := sum(map(_reads_public_files, ended)):
        verb = "read the public files in ../shared" if is_there else "need the public files"
        terminalreporter.write_line(f"{num} tests {verb}, see {PAGE}")


def _reads_public_files(report: pytest.TestReport) -> bool:
    return dict(report.user_properties).get("reads") == "public files"


@pytest.fixture(scope="session", autouse=True)
def _one_estimate_per_network() -> Iterator[None]:
    """Take the memory that a network needs from the first training of it: the sum never changes."""
    estimate, known = memory.estimate_memory, {}

    def once(settings: RunSettings, *, is_half: bool = False) -> memory.Memory:
        key = settings.model_dump_json(include={"model", "prepare", "train"}), is_half
        if key not in known:
            known[key] = estimate(settings, is_half=is_half)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "estimate_memory", once)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with public files beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the public files, see {PAGE}")
    return SHARED


@pytest.fixture(scope="session")
def reference() -> Path:
    """The reference values and small files of this repository, see its README."""
    return Path(__file__).parent / "reference"


@pytest.fixture(scope="session")
def tiny() -> RunSettings:
    """Settings of a study that takes seconds."""
    return run_settings(None, TINY)


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory, tiny: RunSettings) -> Path:
    """A simulated hospital of 24 patients: `cohort/` and `truth/`."""
    out = tmp_path_factory.mktemp("phantom") / "p"
    write_phantom(out, tiny.phantom, seed=1)
    return out


@pytest.fixture(scope="session")
def checked(phantom: Path) -> CheckedCohort:
    """The phantom's cohort, checked."""
    return check_cohort(phantom / "cohort")


@pytest.fixture(scope="session")
def store(
    tmp_path_factory: pytest.TempPathFactory, checked: CheckedCohort, tiny: RunSettings
) -> Store:
    """The phantom's prepared store."""
    return prepare_store(checked, tmp_path_factory.mktemp("store") / "prepared", tiny.prepare)


@pytest.fixture(scope="session")
def assignments(checked: CheckedCohort, tiny: RunSettings) -> tuple[Assignment, ...]:
    """The phantom's split."""
    return split_patients(checked.patients, tiny.split, seed=tiny.seed)


@pytest.fixture(scope="session")
def run(
    tmp_path_factory: pytest.TempPathFactory,
    store: Store,
    assignments: tuple[Assignment, ...],
    tiny: RunSettings,
) -> Path:
    """A finished run folder of two epochs."""
    folder = tmp_path_factory.mktemp("runs") / "se_crosst"
    train_run(store, assignments, tiny, folder)
    return folder


@pytest.fixture(scope="session")
def changed_store() -> Callable[[Store, set[str], Path], Store]:
    """Copies a store to a folder, with other pixels, table values and labels of some patients."""

    def change(store: Store, ids: set[str], folder: Path) -> Store:
        shutil.copytree(store.folder, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        rows = [i for i, r in enumerate(manifest["patients"]) if r["patient_id"] in ids]
        for name in ("us_0", "us_1", "biopsy"):
            array = np.load(folder / f"{name}.npy")
            array[rows] = 255 - array[rows]
            np.save(folder / f"{name}.npy", array)
        for row in rows:
            record = manifest["patients"][row]
            record["clinical"] = {"er": "low", "ki67_percent": 99.0}
            record["label"] = 1 - record["label"]
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return open_store(folder)

    return change


@pytest.fixture
def asked_in_validation() -> Callable[[], AbstractContextManager[None]]:
    """A context inside which every validation asks this process to stop."""

    @contextmanager
    def asked() -> Iterator[None]:
        validate = loop._validate

        def ask(*args):
            os.kill(os.getpid(), signal.SIGTERM)
            return validate(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "_validate", ask)
            yield

    return asked
