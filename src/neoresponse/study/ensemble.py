"""Runs with several seeds: the mean of their probabilities stands for the run."""

from pathlib import Path

from neoresponse.cohort.split import Assignment, write_split
from neoresponse.contracts.predictions import (
    CARD_NAME,
    FILE_NAME,
    average_predictions,
    read_card,
    read_predictions,
    write_card,
    write_predictions,
)
from neoresponse.durable import make_folder, write_text
from neoresponse.settings import RunSettings
from neoresponse.settings.toml import to_toml
from neoresponse.study.kept import has_learnt, put_aside
from neoresponse.study.place import Study
from neoresponse.study.trainings import Trained, Training

ENSEMBLE_FILES = (FILE_NAME, CARD_NAME, "split.csv", "split.json")


def trainings_of(study: Study, name: str, assignments: tuple[Assignment, ...]) -> list[Training]:
    """The trainings of one run: one for each seed, or a single one with the study's own seed."""
    settings, split = study.settings, study.folder / "split"
    if not settings.seeds:
        run = study.folder / "runs" / name
        return [Training(name, settings.run(name), run, split, assignments)]
    return [
        Training(
            f"{name} seed {seed}",
            settings.run(name, seed=seed),
            study.folder / "seeds" / f"{name}-seed-{seed}",
            split,
            assignments,
        )
        for seed in settings.seeds
    ]


def average_seeds(study: Study, name: str, members: list[Trained]) -> str:
    """Put the mean over seeds into the run folder; its hash."""
    run, settings = study.folder / "runs" / name, study.settings.run(name)

    def make() -> None:
        if has_learnt(run):  # before it had seeds, the run was a training of its own
            put_aside(study.ledger, run, name)
        _write(run, settings, [one.training.run for one in members], study.assignments)

    inputs = {
        "members": [one.predicted for one in members],
        "augment": settings.train.augment.model_dump(mode="json"),
        "seed": settings.seed,
    }
    averaged = study.ledger.step(f"average {name}", inputs, run, make, files=ENSEMBLE_FILES)
    if not study.ledger.only_plans:
        write_text(run / "config.toml", to_toml(settings))
    return averaged


def _write(
    run: Path, settings: RunSettings, members: list[Path], assignments: tuple[Assignment, ...]
) -> None:
    """The files of an ensemble: those of a run, but for its weights and epochs."""
    make_folder(run)
    averaged = average_predictions([read_predictions(one / FILE_NAME) for one in members])
    write_split(run, assignments, settings.train.augment, seed=settings.seed)
    write_card(run, read_card(members[0]))
    write_predictions(run / FILE_NAME, averaged)
