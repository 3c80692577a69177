"""Runs with several seeds: the mean of their probabilities stands for the run."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from neoresponse.cohort.split import read_split, write_split
from neoresponse.contracts.characteristics import FILE_NAME as CHARACTERISTICS
from neoresponse.contracts.predictions import (
    FILE_NAME,
    Prediction,
    average_predictions,
    floor_file,
    read_card,
    read_predictions,
    write_card,
    write_predictions,
)
from neoresponse.data.cut import HALF, choose_cut
from neoresponse.durable import make_folder, write_bytes, write_text
from neoresponse.settings import RunSettings
from neoresponse.settings.toml import to_toml
from neoresponse.study.place import Study
from neoresponse.study.trainings import PREDICTION_FILES, Trained, Training
from neoresponse.types import REFERENCE_MODELS

ENSEMBLE_FILES = (*PREDICTION_FILES, "config.toml", "split.csv", "split.json")


def trainings_of(study: Study, name: str, split_hash: str) -> list[Training]:
    """The trainings of one run: one for each seed, or a single one with the study's own seed."""
    settings, split = study.settings, study.folder / "split"
    if not settings.seeds:
        run = study.folder / "runs" / name
        return [Training(name, settings.run(name), run, split, split_hash)]
    return [
        Training(
            f"{name} seed {seed}",
            settings.run(name, seed=seed),
            study.folder / "seeds" / f"{name}-seed-{seed}",
            split,
            split_hash,
        )
        for seed in settings.seeds
    ]


def average_seeds(study: Study, name: str, members: list[Trained]) -> str:
    """Put the mean over seeds into the run folder; its hash."""
    run = study.folder / "runs" / name

    def make() -> None:
        _write(run, study.settings.run(name), [one.training.run for one in members])

    inputs = {
        "members": [one.predicted for one in members],
        "settings": study.settings.run(name).model_dump(mode="json"),
    }
    return study.ledger.step(f"average {name}", inputs, run, make, files=ENSEMBLE_FILES)


def _write(run: Path, settings: RunSettings, members: list[Path]) -> None:
    """The files of an ensemble: those of a run, but for its weights and epochs."""
    make_folder(run)
    averaged = average_predictions([read_predictions(one / FILE_NAME) for one in members])
    first = members[0]
    write_text(run / "config.toml", to_toml(settings))
    write_split(run, read_split(first), settings.train.augment, seed=settings.seed)
    card = read_card(first)
    write_card(run, replace(card, threshold=_threshold(averaged, settings)))
    # Without an image nothing depends on the seed: the first one's floors are those of all.
    for name in (CHARACTERISTICS, *map(floor_file, REFERENCE_MODELS)):
        if (first / name).is_file():
            write_bytes(run / name, (first / name).read_bytes())
    write_predictions(run / FILE_NAME, averaged)


def _threshold(averaged: list[Prediction], settings: RunSettings) -> float:
    """The cut by the rule of the settings, on validation patients."""
    rows = [row for row in averaged if row.split == "validation"]
    label = np.array([row.label for row in rows])
    probability = np.array([row.probability for row in rows])
    found = choose_cut(label, probability, settings.evaluate) if rows else None
    return HALF if found is None else found
