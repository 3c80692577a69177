"""Cross-validation of every run: folds -> splits -> trainings side by side -> numbers.

Each fold is a split of its own, so that a training in it is an ordinary one. With `inner_folds`
what a fold trains on is divided once more, and the run that does best there is the fold's choice:
its out-of-fold predictions estimate choosing and training together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neoresponse.cohort.folds import divided_patients, draw_folds, fold_split
from neoresponse.cohort.split import Assignment, write_split
from neoresponse.contracts.cross_validation import CrossValidation
from neoresponse.contracts.predictions import (
    FILE_NAME,
    Prediction,
    read_card,
    read_predictions,
)
from neoresponse.contracts.record import write_record
from neoresponse.durable import make_folder, write_text
from neoresponse.evaluation.cross_validation import (
    FOLDER,
    OutOfFold,
    Place,
    choose_inside,
    cross_validation,
    gather,
)
from neoresponse.evaluation.reference import reference_predictions
from neoresponse.preprocess.store import open_store
from neoresponse.settings import CHOSEN
from neoresponse.stats import auc
from neoresponse.study.place import Study, fresh_folder
from neoresponse.study.trainings import Trained, Training, train_all
from neoresponse.types import REFERENCE_MODELS


@dataclass(frozen=True)
class Part:
    """One part to train on and test.

    Attributes:
        place: repeat and fold.
        inner: number of the inner fold, or None for the fold itself.
        assignments: its split.
    """

    place: Place
    inner: int | None
    assignments: tuple[Assignment, ...]

    @property
    def name(self) -> str:
        """As a folder."""
        name = f"repeat-{self.place[0]}-fold-{self.place[1]}"
        return name if self.inner is None else f"{name}-inner-{self.inner}"


def cross_validate(study: Study, parts: Sequence[Part], prepared: str) -> str | None:
    """Cross-validate every run; the hash of the numbers.

    Args:
        study: the study; takes in the failures.
        parts: from `draw_parts`; none where cross-validation is off.
        prepared: hash of the store.

    Returns:
        None where it is off, or a training failed.
    """
    if not parts:
        return None
    if not study.ledger.only_plans:
        for part in parts:
            _write_split(study, part)
    trainings = {
        (run, part.name): _training(study, run, part)
        for part in parts
        for run in study.settings.runs
    }
    done = train_all(study, list(trainings.values()), prepared)
    finished = {key: done[one.name] for key, one in trainings.items() if one.name in done}
    if len(finished) < len(trainings):
        return None
    return _evaluate(study, parts, finished, prepared)


def draw_parts(study: Study, assignments: tuple[Assignment, ...]) -> Iterator[Part]:
    """Every fold of every repeat, and the folds inside it where a run is chosen.

    Args:
        study: the study.
        assignments: its split; empty where that is only planned, which gives no part.

    Raises:
        CohortError: there are too few patients of a class.
    """
    settings, seed = study.settings.cross_validation, study.settings.seed
    if not settings.folds or not assignments:
        return
    ratio = study.settings.split.ratio
    patients = divided_patients(assignments)
    for repeat in range(1, settings.repeats + 1):
        fold_of = draw_folds(patients, num_folds=settings.folds, seed=(seed, repeat))
        for fold in range(settings.folds):
            place = (repeat, fold + 1)
            outer = fold_split(patients, fold_of, fold=fold, ratio=ratio, seed=(seed, repeat))
            yield Part(place, None, outer)
            if not settings.inner_folds:
                continue
            known = [a for a in outer if a.split != "test"]
            own = (seed, repeat, fold)
            inner_of = draw_folds(known, num_folds=settings.inner_folds, seed=own)
            for inner in range(settings.inner_folds):
                drawn = fold_split(known, inner_of, fold=inner, ratio=ratio, seed=own)
                yield Part(place, inner + 1, drawn)


def _training(study: Study, run: str, part: Part) -> Training:
    """One run in one part."""
    folder = study.folder / FOLDER
    split = folder / "splits" / part.name
    return Training(
        f"{run} {part.name.replace('-', ' ')}",
        study.settings.run(run),
        folder / "runs" / run / part.name,
        split,
        part.assignments,
    )


def _write_split(study: Study, part: Part) -> None:
    """The split of a part, where a training finds it."""
    folder = study.folder / FOLDER / "splits" / part.name
    make_folder(folder)
    write_split(folder, part.assignments, study.settings.train.augment, seed=study.settings.seed)


def _evaluate(
    study: Study,
    parts: Sequence[Part],
    finished: Mapping[tuple[str, str], Trained],
    prepared: str,
) -> str:
    """Numbers and tables of all runs; their hash."""
    folder = study.folder / FOLDER / "evaluation"

    def make() -> None:
        with fresh_folder(folder, CrossValidation.FILE_NAME) as part:
            _write(study, parts, finished, part)

    inputs = {
        "prepared": prepared,
        "settings": study.settings.cross_validation.model_dump(mode="json"),
        "confidence": study.settings.evaluate.confidence,
        "predicted": {" ".join(key): one.predicted for key, one in finished.items()},
    }
    return study.ledger.step("cross-validate", inputs, folder, make)


def _write(
    study: Study,
    parts: Sequence[Part],
    finished: Mapping[tuple[str, str], Trained],
    out: Path,
) -> None:
    """Read all predictions, and write `cross-validation.json` and a table per run."""
    outer = [part for part in parts if part.inner is None]

    runs = list(study.settings.runs)
    of_run = {
        run: {p.place: _tested(finished[run, p.name].training.run / FILE_NAME) for p in outer}
        for run in runs
    }
    found: dict[str, OutOfFold] = {run: gather(rows) for run, rows in of_run.items()}
    chosen: dict[str, int] = {}
    if study.settings.cross_validation.inner_folds:
        rows, chosen = choose_inside(of_run, _inside(runs, parts, finished))
        found[CHOSEN] = gather(rows)
    first = finished[runs[0], outer[0].name].training.run
    found |= _reference_models(study, outer)
    card = read_card(first)
    numbers = cross_validation(
        found,
        confidence=study.settings.evaluate.confidence,
        is_simulated=card.is_simulated,
        cohort_name=card.cohort_name,
    )
    inner = study.settings.cross_validation.inner_folds
    chosen_inside = {"num_inner_folds": inner, "times_chosen": chosen}
    write_record(out, numbers.model_copy(update=chosen_inside))
    for name, one in found.items():
        write_text(out / f"{name}.csv", one.to_csv())


def _reference_models(study: Study, outer: Sequence[Part]) -> dict[str, OutOfFold]:
    """The reference models, fitted in each fold on its own training patients."""
    store = open_store(study.prepared)
    of_part = {part.place: reference_predictions(store, part.assignments) for part in outer}
    return {
        name: gather(
            {
                place: [row for row in fitted[name] if row.split == "test"]
                for place, fitted in of_part.items()
            }
        )
        for name in REFERENCE_MODELS
        if all(name in fitted for fitted in of_part.values())
    }


def _inside(
    runs: list[str], parts: Sequence[Part], finished: Mapping[tuple[str, str], Trained]
) -> dict[str, dict[Place, list[float]]]:
    """Run -> fold -> AUC in each inner fold."""
    found: dict[str, dict[Place, list[float]]] = {run: {} for run in runs}
    for part in parts:
        if part.inner is None:
            continue
        for run in runs:
            rows = _tested(finished[run, part.name].training.run / FILE_NAME)
            label = np.array([row.label for row in rows])
            area = auc(label, np.array([row.probability for row in rows]))
            assert area is not None  # folds are stratified
            found[run].setdefault(part.place, []).append(area)
    return found


def _tested(path: Path) -> list[Prediction]:
    """Predictions of the patients that a part tests."""
    return [row for row in read_predictions(path) if row.split == "test"]
