"""Contract 3: a run folder, from settings, store and split to a model bundle.

Its reference is docs/reference/run-folder.md.
"""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from pydantic import JsonValue

import neoresponse
from neoresponse.cohort.split import Assignment, count_samples, split_csv, write_split
from neoresponse.contracts.bundle import ModelCard, ModelInput, TrainedOn
from neoresponse.contracts.record import write_record
from neoresponse.contracts.run import RunInputs, RunSummary, find_inputs, read_inputs
from neoresponse.durable import (
    make_folder,
    only_one,
    sha256_of,
    temporary_of,
    write_text,
)
from neoresponse.errors import ConfigError, RunError
from neoresponse.folders import check_output, record_folder, set_aside
from neoresponse.models.build import build_model, weights_file
from neoresponse.models.checkpoint import save_bundle
from neoresponse.models.fits import check_network
from neoresponse.models.se_crosst import SECrossT
from neoresponse.models.trained import choose_device, use_threads
from neoresponse.preprocess.store import MANIFEST, Store
from neoresponse.settings import RunSettings
from neoresponse.settings.toml import to_toml
from neoresponse.training.arrange import choose_algorithms, keep_memory
from neoresponse.training.fit import Fitted, fit_inputs
from neoresponse.training.loop import Place, train_network
from neoresponse.training.memory import check_memory
from neoresponse.training.progress import Progress
from neoresponse.training.team import Team, current_team
from neoresponse.types import Track, untracked

RUN, CONFIG, INPUTS = RunSummary.FILE_NAME, "config.toml", RunInputs.FILE_NAME
MODEL = "model"
RECORDED = (
    *(CONFIG, INPUTS, RUN, "samples.csv", "split.csv", "split.json", "metrics.csv", "progress.svg"),
    *(f"{MODEL}/{name}" for name in ("weights.safetensors", "model.json", "manifest.json")),
    *("checkpoints/*.safetensors", "shown/epoch-*.csv"),
    *("predictions.csv", "predictions.json"),
    *("characteristics.csv", "*_floor.csv"),  # of an earlier version
    *("tensorboard/events.*", "mlflow.db", "mlflow.json"),
)
"""Patterns of all that is ever written into a run folder, so that nothing else is ever removed."""
_BESIDE = ("save_every_steps", "trackers")
"""Keys of `train` that change no byte of what is learnt."""


def train_run(
    store: Store,
    assignments: Sequence[Assignment],
    settings: RunSettings,
    folder: Path,
    *,
    track: Track = untracked,
) -> RunSummary:
    """Train one network and write its run folder; an unfinished run goes on where it stopped.

    Inside `open_team`, all processes call it with the same arguments; the first one writes.

    Args:
        store: the prepared store.
        assignments: the split.
        settings: the run; `settings.model` names the network.
        folder: the run folder. It is finished once it holds `run.json`, written last.
        track: shows progress.

    Returns:
        What `run.json` says.

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
                held.enter_context(only_one(folder))
                check_output(folder, mark=INPUTS, force=True)
                make_folder(folder)
                _claim(folder, settings, inputs)
        _refuse_other_inputs(inputs, settings, team)
        return _train(store, assignments, settings, folder, track=track)


def keep_older_run(
    folder: Path, store: Store, assignments: Sequence[Assignment], settings: RunSettings
) -> Path | None:
    """Set a run aside, finished or not, once it is known that a new one can begin in its place.

    Returns:
        Its new name, or None where there was none.

    Raises:
        NeoresponseError: the new one could not be trained, or the folder is not a run's; nothing
            was changed.
    """
    _checked_inputs(store, assignments, settings)
    _set_up(store, assignments, settings)
    with only_one(folder):
        return set_aside(folder, mark=INPUTS)


def recipe(settings: RunSettings) -> dict[str, JsonValue]:
    """The settings that decide what a run becomes; all others may change beside it."""
    parts = settings.model_dump(mode="json", include={"seed", "prepare", "model", "train"})
    train = {key: value for key, value in parts["train"].items() if key not in _BESIDE}
    train["keep_from_epoch"] = settings.train.kept_epochs.start  # the same run, written or not
    return {**parts, "train": train}


def run_inputs(
    settings: RunSettings, prepared: Path, assignments: Sequence[Assignment]
) -> RunInputs:
    """The inputs that determine a run: software, recipe, and hashes of what it reads.

    Args:
        settings: of the run.
        prepared: folder of the prepared store.
        assignments: the split.
    """
    weights = weights_file(settings.model)
    return RunInputs(
        software=f"neoresponse {neoresponse.__version__}",
        recipe=recipe(settings),
        prepared_sha256=sha256_of(prepared / MANIFEST),
        split_sha256=hashlib.sha256(split_csv(assignments).encode()).hexdigest(),
        weights_sha256=sha256_of(weights) if weights and weights.is_file() else None,
    )


def is_trained_on(folder: Path, store: Store) -> bool:
    """Whether a run was trained on the patients of this very store."""
    inputs = find_inputs(folder)
    return inputs is not None and inputs.prepared_sha256 == sha256_of(store.folder / MANIFEST)


def _train(
    store: Store,
    assignments: Sequence[Assignment],
    settings: RunSettings,
    folder: Path,
    *,
    track: Track,
) -> RunSummary:
    """Train in a folder that is ours alone."""
    team = current_team()
    with team.together():
        fitted, network = _set_up(store, assignments, settings)
        if team.is_first:
            write_split(folder, assignments, settings.train.augment, seed=settings.seed)
            write_text(folder / "samples.csv", fitted.samples.to_csv())
        identity = sha256_of(folder / INPUTS) if team.is_first else ""
    place = Place(folder, identity=identity, track=track if team.is_first else untracked)
    progress = train_network(network, fitted, settings, place)
    summary = _summary(network, progress, fitted, assignments, settings)
    with team.together():
        if team.is_first:
            card = _card(network, fitted, assignments, settings)
            save_bundle(folder / MODEL, network.state_dict(), card)
            write_record(folder, summary)
    return summary


def _set_up(
    store: Store, assignments: Sequence[Assignment], settings: RunSettings
) -> tuple[Fitted, SECrossT]:
    """All that can be refused before the first step: samples, network and memory."""
    use_threads(settings.train.num_threads)
    device = choose_device(settings.train.device)
    choose_algorithms(device)
    keep_memory()
    fitted = fit_inputs(store, assignments, settings, device)
    torch.manual_seed(settings.seed)
    network = build_model(settings.model, image_px=settings.prepare.image_px).to(device)
    check_memory(fitted, settings)
    return fitted, network


def _checked_inputs(
    store: Store, assignments: Sequence[Assignment], settings: RunSettings
) -> RunInputs:
    """`inputs.json`, of a store that was prepared as the settings say."""
    if store.settings != settings.prepare:
        raise ConfigError(
            f"{store.folder}: expected the settings under [prepare] that this run names, got "
            "others. Prepare the cohort with the same settings file."
        )
    return run_inputs(settings, store.folder, assignments)


def _refuse_other_inputs(inputs: RunInputs, settings: RunSettings, team: Team) -> None:
    """Stop where processes on different machines would learn from different things."""
    mine = {**inputs.model_dump(mode="json"), "save_every_steps": settings.train.save_every_steps}
    first = team.of_first(mine)
    with team.together():
        named = ", ".join(key for key in mine if mine[key] != first[key])
        if named:
            raise RunError(
                f"process {team.rank} of {team.size}: expected the inputs of process 0, got "
                f"another {named}. Give all machines the same command, store, split and software."
            )


def _claim(folder: Path, settings: RunSettings, inputs: RunInputs) -> None:
    """Make sure that what is in the folder is this very run, unfinished, or begin it."""
    if (folder / RUN).exists():
        raise RunError(
            f"{folder}: expected a new folder, found a finished run. "
            "Name another folder or add --force to replace it."
        )
    is_begun = (folder / INPUTS).exists()
    if is_begun and read_inputs(folder) != inputs:
        raise RunError(
            f"{folder}: expected the settings, store and split that this unfinished run was "
            "started with, got others. Use those, or add --force to begin again."
        )
    for part in (*folder.glob("*"), *folder.glob("*/*")):
        if temporary_of(part) is not None:
            part.unlink(missing_ok=True)  # what a killed process was writing
    record_folder(folder, mark=INPUTS, files=RECORDED)
    write_text(folder / CONFIG, to_toml(settings))
    if not is_begun:  # what an earlier version wrote stays: its checkpoints name its hash
        write_record(folder, inputs)


def _card(
    network: SECrossT,
    fitted: Fitted,
    assignments: Sequence[Assignment],
    settings: RunSettings,
) -> ModelCard:
    """What the network is, what it takes, and on whom it was trained."""
    manifest = fitted.dataset.store.manifest
    train = [a for a in assignments if a.split == "train"]
    of_patches = "" if network.pools_patches else ", the mean over the patient's patches"
    return ModelCard(
        software=f"neoresponse {neoresponse.__version__}",
        architecture=settings.model.model_copy(update={"weights": None}),
        input=ModelInput(
            prepare=settings.prepare,
            standardisation=fitted.standardisation,
            clinical=fitted.encoder,
        ),
        output=f"probability of pCR{of_patches}",
        precision=fitted.precision,
        trained_on=TrainedOn(
            cohort_name=manifest.cohort_name,
            is_simulated=manifest.is_simulated,
            num_patients=len(train),
            num_pcr=sum(a.label or 0 for a in train),
        ),
    )


def _summary(
    network: SECrossT,
    progress: Progress,
    fitted: Fitted,
    assignments: Sequence[Assignment],
    settings: RunSettings,
) -> RunSummary:
    """What `run.json` says."""
    samples = count_samples(assignments, settings.train.augment)
    manifest = fitted.dataset.store.manifest
    return RunSummary(
        software=f"neoresponse {neoresponse.__version__}",
        seed=settings.seed,
        num_parameters=sum(p.numel() for p in network.parameters()),
        kept_epoch=progress.kept_epoch,
        num_epochs=len(progress.history),
        precision=fitted.precision,
        samples=samples,
        cohort_name=manifest.cohort_name,
        is_simulated=manifest.is_simulated,
    )
