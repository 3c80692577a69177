"""Model + store -> a probability of pCR per patient."""

from collections.abc import Sequence

import numpy as np

from neoresponse.cohort.split import Assignment
from neoresponse.contracts.predictions import Prediction
from neoresponse.data.dataset import Dataset, open_for
from neoresponse.data.forward import Precision, batch_probability, prediction_precision
from neoresponse.errors import RunError
from neoresponse.models.se_crosst import SECrossT
from neoresponse.models.trained import TrainedModel
from neoresponse.preprocess.store import Store
from neoresponse.training.arrange import choose_algorithms, keep_memory
from neoresponse.training.team import current_team
from neoresponse.types import FloatArray, Track, untracked

PATIENTS_PER_BATCH = 8


def predict_patients(
    model: TrainedModel,
    store: Store,
    assignments: Sequence[Assignment] | None,
    *,
    track: Track = untracked,
) -> list[Prediction]:
    """Predict every patient of a split, or every patient of a new cohort.

    Args:
        model: from `load_model`.
        store: the prepared store.
        assignments: the split; None for a cohort that the model has not seen.
        track: shows progress.

    Raises:
        RunError: store and model do not fit.
    """
    choose_algorithms(model.device)
    keep_memory()
    team = current_team()
    track = track if team.is_first else untracked
    with team.together():
        dataset = open_for(model, store)
    if assignments is None:
        places = [(p.patient_id, "new", "test", p.label) for p in store.patients]
    else:
        places = [(a.patient_id, a.cohort, a.split, a.label) for a in assignments]
    rows = [store.row_of[patient_id] for patient_id, *_ in places]
    probability = patient_probability(
        model.network, dataset, rows, precision=prediction_precision(model), track=track
    )
    return [
        Prediction(*place, probability=float(value), available=store.patients[row].available)
        for place, row, value in zip(places, rows, probability, strict=True)
    ]


def patient_probability(
    network: SECrossT,
    dataset: Dataset,
    rows: Sequence[int],
    *,
    precision: Precision,
    track: Track = untracked,
) -> FloatArray:
    """Probability of pCR per patient: the mean over the patient's patches.

    Processes of a team each take whole batches; all get all probabilities, the same bytes as alone.

    Args:
        network: the network, on the device of the dataset.
        dataset: the store as the network wants it.
        rows: whom to predict.
        precision: number format of the forward pass.
        track: shows progress.

    Returns:
        float64, (patients,), in [0, 1].
    """

    def own(mine: Sequence[int]) -> FloatArray:
        return _probability(network, dataset, mine, precision=precision, track=track)

    return current_team().deal(own, rows, num=PATIENTS_PER_BATCH)


def _probability(
    network: SECrossT,
    dataset: Dataset,
    rows: Sequence[int],
    *,
    precision: Precision,
    track: Track,
) -> FloatArray:
    """Of this process's patients."""
    was_training = network.training
    network.eval()
    batches = dataset.patient_batches(rows, batch_size=PATIENTS_PER_BATCH)
    total = -(-len(rows) // PATIENTS_PER_BATCH)
    parts = [
        batch_probability(network, batch, precision=precision).cpu().numpy()
        for batch in track(batches, name="predict", total=total)
    ]
    network.train(was_training)
    probability = np.concatenate(parts) if parts else np.zeros(0)
    lost = np.flatnonzero(~np.isfinite(probability))
    if lost.size:
        patient_id = dataset.store.patients[rows[int(lost[0])]].patient_id
        raise RunError(
            f"{patient_id}: expected a finite probability, got {probability[lost[0]]}. "
            "Lower train.learning_rate or look at this patient's images."
        )
    return probability
