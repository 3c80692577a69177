"""Run folder + store -> `predictions.csv` and its card."""

from pathlib import Path

from neoresponse.cohort.split import read_split
from neoresponse.contracts.predictions import (
    FILE_NAME,
    PredictionsCard,
    write_card,
    write_predictions,
)
from neoresponse.errors import RunError
from neoresponse.models.trained import TrainedModel, load_model, use_threads
from neoresponse.preprocess.store import Store
from neoresponse.settings.toml import run_settings
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
    """Write `predictions.csv` of a run's own split.

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
    if team.is_first:
        write_card(run, _card(model, store))
        write_predictions(run / FILE_NAME, predictions)


def predict_new(run: Path, store: Store, folder: Path, *, track: Track = untracked) -> None:
    """Write `predictions.csv` of every patient of a store that the model has not seen.

    Inside `open_team`, all processes call it, and the first one writes. The card has no threshold:
    it is chosen from predictions, not from a model.
    """
    team = current_team()
    with team.together():
        model = open_run(run)
    predictions = predict_patients(model, store, None, track=track)
    if team.is_first:
        write_card(folder, _card(model, store))
        write_predictions(folder / FILE_NAME, predictions)


def _card(model: TrainedModel, store: Store) -> PredictionsCard:
    """The record of a model's predictions."""
    clinical = (Modality.CLINICAL,) if model.settings.clinical else ()
    return PredictionsCard(
        cohort_name=store.manifest.cohort_name,
        is_simulated=store.manifest.is_simulated or model.card.trained_on.is_simulated,
        inputs=(*map(Modality, model.network.inputs), *clinical),
    )
