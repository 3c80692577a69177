"""Run folder + store -> `predictions.csv`, its card, the clinical floors and characteristics."""

from collections.abc import Sequence
from pathlib import Path

from neoresponse.cohort.split import read_split
from neoresponse.contracts.characteristics import FILE_NAME as CHARACTERISTICS
from neoresponse.contracts.characteristics import write_characteristics
from neoresponse.contracts.predictions import (
    FILE_NAME,
    PredictionsCard,
    floor_file,
    write_card,
    write_predictions,
)
from neoresponse.errors import RunError
from neoresponse.models.trained import TrainedModel, load_model, use_threads
from neoresponse.preprocess.store import Store
from neoresponse.settings.toml import run_settings
from neoresponse.training.floor import floors
from neoresponse.training.predict import predict_patients
from neoresponse.training.run import CONFIG, is_trained_on
from neoresponse.training.team import current_team
from neoresponse.types import Modality, Track, untracked


def open_run(run: Path) -> TrainedModel:
    """The model of a run folder, on the device and threads of its settings; or of a bundle."""
    if not (run / CONFIG).is_file():
        return load_model(run)
    settings = run_settings(str(run / CONFIG)).train
    use_threads(settings.num_threads)
    return load_model(run, device=settings.device)


def predict_run(run: Path, store: Store, *, track: Track = untracked) -> None:
    """Write `predictions.csv` of a run's own split, and the clinical floors beside it.

    Inside `open_team`, all processes call it, and the first one writes.

    Raises:
        RunError: the store is not the one that the run was trained on.
    """
    team = current_team()
    with team.together():
        if not is_trained_on(run, store):
            raise RunError(
                f"{store.folder}: expected the store that {run} was trained on, got another. "
                "Name that one, or an output folder to predict it as a new cohort."
            )
        assignments = read_split(run)
        model = open_run(run)
    predictions = predict_patients(model, store, assignments, track=track)
    if not team.is_first:
        return
    write_card(run, _card(model, store))
    _write_characteristics(run, store, [one.patient_id for one in assignments])
    for name, rows in floors(store, assignments).items():
        write_predictions(run / floor_file(name), rows)
    write_predictions(run / FILE_NAME, predictions)


def predict_new(run: Path, store: Store, folder: Path, *, track: Track = untracked) -> None:
    """Write `predictions.csv` of every patient of a store that the model has not seen.

    Inside `open_team`, all processes call it, and the first one writes.
    """
    team = current_team()
    with team.together():
        model = open_run(run)
    predictions = predict_patients(model, store, None, track=track)
    if not team.is_first:
        return
    write_card(folder, _card(model, store))
    _write_characteristics(folder, store, [one.patient_id for one in predictions])
    write_predictions(folder / FILE_NAME, predictions)


def _write_characteristics(folder: Path, store: Store, patient_ids: Sequence[str]) -> None:
    """What the patients are, for subgroups."""
    patients = [store.patients[store.row_of[patient_id]] for patient_id in patient_ids]
    write_characteristics(
        folder / CHARACTERISTICS,
        (
            (one.patient_id, {**one.clinical, "machine": one.machine, "centre": one.centre})
            for one in patients
        ),
    )


def _card(model: TrainedModel, store: Store) -> PredictionsCard:
    """What stands beside a model's predictions."""
    clinical = (Modality.CLINICAL,) if model.settings.clinical else ()
    return PredictionsCard(
        cohort_name=store.manifest.cohort_name,
        is_simulated=store.manifest.is_simulated or model.card["trained_on"]["is_simulated"],
        threshold=model.card["threshold"],
        inputs=(*map(Modality, model.network.inputs), *clinical),
    )
