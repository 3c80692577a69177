"""Contract 3: a run folder, from settings, store and split to a model bundle.

Its reference is docs/reference/run-folder.md.
"""

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

import neoresponse
from neoresponse.cohort.split import Assignment, count_samples, split_csv, write_split
from neoresponse.data.cut import HALF, choose_cut, cut_rule, rule_in_words
from neoresponse.durable import (
    LOCK,
    make_folder,
    only_one,
    read_json,
    sha256_of,
    write_json,
    write_text,
)
from neoresponse.errors import ConfigError, RunError
from neoresponse.models.build import build_model, weights_file
from neoresponse.models.checkpoint import save_bundle
from neoresponse.models.fits import check_network
from neoresponse.models.se_crosst import SECrossT
from neoresponse.models.trained import choose_device, use_threads
from neoresponse.preprocess.store import MANIFEST, Store
from neoresponse.settings import RunSettings
from neoresponse.settings.toml import to_toml
from neoresponse.training.arrange import choose_algorithms, keep_memory, uncompiled
from neoresponse.training.fit import Fitted, fit_inputs
from neoresponse.training.loop import Place, train_network
from neoresponse.training.memory import check_memory
from neoresponse.training.predict import patient_probability
from neoresponse.training.progress import Progress
from neoresponse.training.team import Team, current_team
from neoresponse.types import RESEARCH_USE, Track, untracked

SCHEMA = "neoresponse.run/1"
INPUTS_SCHEMA = "neoresponse.run-inputs/1"
RUN, CONFIG, INPUTS = "run.json", "config.toml", "inputs.json"
MODEL = "model"
_BESIDE = ("save_every_steps", "trackers")
"""Keys of `train` that change no byte of what is learnt."""


def train_run(
    store: Store,
    assignments: Sequence[Assignment],
    settings: RunSettings,
    folder: Path,
    *,
    track: Track = untracked,
) -> dict[str, Any]:
    """Train one network and write its run folder; an unfinished run goes on where it stopped.

    Inside `open_team`, all processes call it with the same arguments; the first one writes.

    Args:
        store: the prepared store.
        assignments: the split.
        settings: the run; `settings.model` names the network.
        folder: the run folder. It is finished once it holds `run.json`, written last.
        track: shows progress.

    Returns:
        The content of `run.json`.

    Raises:
        ConfigError: the network takes no pictures of this size.
        RunError: a finished run is there, or an unfinished one with other settings.
    """
    team = current_team()
    with ExitStack() as held:
        with team.together():
            inputs = _checked_inputs(store, assignments, settings)
            check_network(settings.model, image_px=settings.prepare.image_px)
            if team.is_first:
                _refuse_other_files(folder)
                make_folder(folder)
                held.enter_context(only_one(folder))
                _claim(folder, settings, inputs)
        _refuse_other_inputs(inputs, settings, team)
        return _train(store, assignments, settings, folder, track=track)


def forget_run(folder: Path) -> None:
    """Throw a run away, finished or not.

    Raises:
        RunError: the folder holds something that is no run.
    """
    if (folder / INPUTS).exists():
        shutil.rmtree(folder)
    elif _holds_more_than_parts(folder):
        raise RunError(
            f"{folder}: expected a run folder (with {INPUTS} in it), found other files. "
            "They are not replaced: name another folder."
        )


def recipe(settings: RunSettings) -> dict[str, Any]:
    """The settings that decide what a run becomes; all others may change beside it."""
    parts = settings.model_dump(mode="json", include={"seed", "prepare", "model", "train"})
    train = {key: value for key, value in parts["train"].items() if key not in _BESIDE}
    train["keep_from_epoch"] = settings.train.kept_epochs.start  # the same run, written or not
    return {**parts, "train": train, "threshold": cut_rule(settings.evaluate)}


def is_same_run(
    folder: Path, settings: RunSettings, store: Store, assignments: Sequence[Assignment]
) -> bool:
    """Whether a folder holds this very run, finished or not: same recipe, pixels and split."""
    try:
        started = read_json(folder / INPUTS, schema=INPUTS_SCHEMA)
    except RunError:
        return False
    return started == _inputs(store, assignments, settings)


def is_trained_on(folder: Path, store: Store) -> bool:
    """Whether a run was trained on the patients of this very store."""
    try:
        started = read_json(folder / INPUTS, schema=INPUTS_SCHEMA)
    except RunError:
        return False
    return bool(started["prepared_sha256"] == sha256_of(store.folder / MANIFEST))


def _train(
    store: Store,
    assignments: Sequence[Assignment],
    settings: RunSettings,
    folder: Path,
    *,
    track: Track,
) -> dict[str, Any]:
    """Train in a folder that is ours alone."""
    team = current_team()
    with team.together():
        use_threads(settings.train.num_threads)
        device = choose_device(settings.train.device)
        choose_algorithms(device)
        keep_memory()
        fitted = fit_inputs(store, assignments, settings, device)
        if team.is_first:
            write_split(folder, assignments, settings.train.augment, seed=settings.seed)
            write_text(folder / "samples.csv", fitted.samples.to_csv())
        torch.manual_seed(settings.seed)
        network = build_model(settings.model, image_px=settings.prepare.image_px).to(device)
        check_memory(fitted, settings)
        identity = sha256_of(folder / INPUTS) if team.is_first else ""
    place = Place(folder, identity=identity, track=track if team.is_first else untracked)
    progress = train_network(network, fitted, settings, place)
    cut = _threshold(network, fitted, settings)
    summary = _summary(network, progress, fitted, assignments, settings)
    with team.together():
        if team.is_first:
            card = _card(network, fitted, cut, assignments, settings)
            save_bundle(folder / MODEL, network.state_dict(), card)
            write_json(folder / RUN, summary)
    return summary


def _checked_inputs(
    store: Store, assignments: Sequence[Assignment], settings: RunSettings
) -> dict[str, Any]:
    """`inputs.json`, of a store that was prepared as the settings say."""
    if store.settings != settings.prepare:
        raise ConfigError(
            f"{store.folder}: expected the settings under [prepare] that this run names, got "
            "others. Prepare the cohort with the same settings file."
        )
    return _inputs(store, assignments, settings)


def _refuse_other_inputs(inputs: dict[str, Any], settings: RunSettings, team: Team) -> None:
    """Stop where processes on different machines would learn from different things."""
    mine = {**inputs, "save_every_steps": settings.train.save_every_steps}
    first = team.of_first(mine)
    with team.together():
        named = ", ".join(key for key in mine if mine[key] != first[key])
        if named:
            raise RunError(
                f"process {team.rank} of {team.size}: expected the inputs of process 0, got "
                f"another {named}. Give all machines the same command, store, split and software."
            )


def _inputs(
    store: Store, assignments: Sequence[Assignment], settings: RunSettings
) -> dict[str, Any]:
    """All that a run becomes what it is from: software, recipe, and hashes of what it reads."""
    weights = weights_file(settings.model)
    return {
        "schema": INPUTS_SCHEMA,
        "software": f"neoresponse {neoresponse.__version__}",
        "recipe": recipe(settings),
        "prepared_sha256": sha256_of(store.folder / MANIFEST),
        "split_sha256": hashlib.sha256(split_csv(assignments).encode()).hexdigest(),
        "weights_sha256": sha256_of(weights) if weights and weights.is_file() else None,
    }


def _claim(folder: Path, settings: RunSettings, inputs: dict[str, Any]) -> None:
    """Make sure that what is in the folder is this very run, unfinished, or begin it."""
    if (folder / RUN).exists():
        raise RunError(
            f"{folder}: expected a new folder, found a finished run. "
            "Name another folder or add --force to replace it."
        )
    is_begun = (folder / INPUTS).exists()
    if is_begun and read_json(folder / INPUTS, schema=INPUTS_SCHEMA) != inputs:
        raise RunError(
            f"{folder}: expected the settings, store and split that this unfinished run was "
            "started with, got others. Use those, or add --force to begin again."
        )
    for part in (*folder.glob("*.part"), *folder.glob("*/*.part")):
        part.unlink(missing_ok=True)  # what a killed process was writing
    write_text(folder / CONFIG, to_toml(settings))
    write_json(folder / INPUTS, inputs)


def _refuse_other_files(folder: Path) -> None:
    """Stop where the folder is neither new nor a run's."""
    if not (folder / INPUTS).exists() and _holds_more_than_parts(folder):
        raise RunError(
            f"{folder}: expected a new folder, found one with files in it. "
            "Name another folder or add --force to replace it."
        )


def _holds_more_than_parts(folder: Path) -> bool:
    """Whether there is anything but what a process leaves that is killed at its first writes."""
    if folder.is_file():
        return True
    names = {path.name for path in folder.glob("*")} - {CONFIG, LOCK}
    return any(not name.endswith(".part") for name in names)


def _card(
    network: SECrossT,
    fitted: Fitted,
    cut: tuple[float, str],
    assignments: Sequence[Assignment],
    settings: RunSettings,
) -> dict[str, Any]:
    """`model.json`: what the network is, what it eats, and whom it was trained on."""
    manifest = fitted.dataset.store.manifest
    train = [a for a in assignments if a.split == "train"]
    of_patches = "" if network.pools_patches else ", the mean over the patient's patches"
    return {
        "software": f"neoresponse {neoresponse.__version__}",
        "use": RESEARCH_USE,
        "architecture": settings.model.model_dump(mode="json", exclude={"weights"}),
        "input": {
            "prepare": settings.prepare.model_dump(mode="json"),
            "standardisation": fitted.standardisation.model_dump(mode="json"),
            "clinical": fitted.encoder.model_dump(mode="json"),
        },
        "output": f"probability of pCR{of_patches}",
        "precision": fitted.precision,
        "threshold": cut[0],
        "threshold_method": cut[1],
        "calibration": None,
        "trained_on": {
            "cohort_name": manifest["cohort_name"],
            "is_simulated": manifest["is_simulated"],
            "num_patients": len(train),
            "num_pcr": sum(a.label or 0 for a in train),
        },
    }


def _threshold(network: SECrossT, fitted: Fitted, settings: RunSettings) -> tuple[float, str]:
    """The probability cut, and how it was chosen."""
    if settings.evaluate.threshold == "half":
        return HALF, "fixed"
    patients = [fitted.dataset.store.patients[row] for row in fitted.validation_rows]
    label = np.asarray([patient.label for patient in patients])
    with uncompiled():
        probability = patient_probability(
            network, fitted.dataset, fitted.validation_rows, precision=fitted.precision
        )
    best = choose_cut(label, probability, settings.evaluate)
    return (HALF, "fixed") if best is None else (best, rule_in_words(settings.evaluate))


def _summary(
    network: SECrossT,
    progress: Progress,
    fitted: Fitted,
    assignments: Sequence[Assignment],
    settings: RunSettings,
) -> dict[str, Any]:
    """`run.json`: written last, so that its presence says that the run is whole."""
    samples = count_samples(assignments, settings.train.augment)
    manifest = fitted.dataset.store.manifest
    return {
        "schema": SCHEMA,
        "software": f"neoresponse {neoresponse.__version__}",
        "seed": settings.seed,
        "num_parameters": sum(p.numel() for p in network.parameters()),
        "kept_epoch": progress.kept_epoch,
        "num_epochs": len(progress.history),
        "precision": fitted.precision,
        "samples": {
            "balanced": samples.balanced,
            "augmented": samples.augmented,
            "with_ultrasound_versions": samples.with_ultrasound_versions,
        },
        "cohort_name": manifest["cohort_name"],
        "is_simulated": manifest["is_simulated"],
    }
