"""Trained model + prepared store -> predictions under ten negative controls.

Each control takes something away that the outcome could be known by, and leaves all else as it is:
the time points change places, the lesion is painted over, an input comes from another patient. What
the numbers then should be is judged by `evaluation.controls`, from the files written here.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neoresponse.cohort.split import Assignment
from neoresponse.contracts.controls import ControlFile, Controls
from neoresponse.contracts.predictions import Prediction, write_predictions
from neoresponse.contracts.record import write_record
from neoresponse.data.batch import Batch
from neoresponse.data.dataset import Dataset, open_for
from neoresponse.data.forward import Precision, batch_probability, prediction_precision
from neoresponse.errors import RunError
from neoresponse.models.trained import TrainedModel
from neoresponse.preprocess.store import Store
from neoresponse.types import Modality, Track, untracked

TRUE_INPUTS = "true inputs"
PATIENTS_PER_BATCH = 8
ULTRASOUND = (Modality.US_0, Modality.US_1)
EVERYTHING = tuple(Modality)
Change = Callable[[Batch, Batch, float], Batch]
"""Batch, the batch of other patients in their place, share of a side that the lesion takes."""


@dataclass(frozen=True)
class Control:
    """One thing that is taken away.

    Attributes:
        name: of the control.
        what: what is done, in words.
        needs: inputs that a network must have for the control to mean anything.
        left: inputs that still show the patient whose label is held against the prediction.
        change: makes the inputs.
        falls: whether a network that uses its inputs must lose by it.
        has_other_labels: whether labels are those of other patients.
    """

    name: str
    what: str
    needs: tuple[Modality, ...]
    left: tuple[Modality, ...]
    change: Change
    falls: bool = False
    has_other_labels: bool = False


def predict_controls(
    model: TrainedModel,
    store: Store,
    assignments: Sequence[Assignment],
    folder: Path,
    *,
    track: Track = untracked,
) -> None:
    """Predict test patients as they are and under every control that the network has inputs for.

    Args:
        model: from `load_model`.
        store: the prepared store, made with the model's settings.
        assignments: the split that the model was trained on.
        folder: where to write `controls.json` and a predictions file per control; must exist.
        track: shows progress.

    Raises:
        RunError: there is no test patient, or store and model do not fit.
    """
    test = [a for a in assignments if a.split == "test"]
    if len(test) < 2:
        raise RunError(
            f"split: expected at least two test patients, got {len(test)}. Make a new split."
        )
    dataset = open_for(model, store)
    inputs = {*map(Modality, dataset.inputs)}
    inputs |= {Modality.CLINICAL} if model.settings.clinical else set()
    chosen = [control for control in CONTROLS if inputs.issuperset(control.needs)]
    other = _others(len(test))
    records = []
    as_they_are = Control(TRUE_INPUTS, "nothing is changed", (), EVERYTHING, _same)
    for control in track([as_they_are, *chosen], name="controls", total=len(chosen) + 1):
        rows = _probabilities(model, dataset, test, control, other)
        name = re.sub(r"[^a-z0-9]+", "-", control.name.casefold()).strip("-")
        labels = other if control.has_other_labels else range(len(test))
        write_predictions(
            folder / f"{name}.csv",
            [
                Prediction(
                    a.patient_id, a.cohort, a.split, test[of].label, probability=float(value),
                    available=store.patients[store.row_of[a.patient_id]].available,
                )
                for a, of, value in zip(test, labels, rows, strict=True)
            ],
        )  # fmt: skip
        left = [str(m) for m in Modality if m in control.left and m in inputs]
        records.append(
            ControlFile(
                name=control.name,
                what=control.what,
                file=f"{name}.csv",
                left=tuple(left),
                falls=control.falls,
            )
        )
    is_simulated = bool(store.manifest.is_simulated or model.card.trained_on.is_simulated)
    write_record(folder, Controls(is_simulated=is_simulated, controls=tuple(records)))


def _others(num: int) -> list[int]:
    """Whose inputs stand in for each patient's: everybody gets another's, drawn once."""
    order = np.random.default_rng(0).permutation(num)
    found = np.empty(num, dtype=np.int64)
    found[order] = np.roll(order, 1)  # one circle through all: nobody keeps his own
    return [int(one) for one in found]


def _probabilities(
    model: TrainedModel,
    dataset: Dataset,
    test: Sequence[Assignment],
    control: Control,
    other: Sequence[int],
) -> list[float]:
    """Probability of each test patient under a control."""
    margin = dataset.store.settings.margin_ratio
    rows = [dataset.store.row_of[a.patient_id] for a in test]
    batches = zip(
        dataset.patient_batches(rows, batch_size=PATIENTS_PER_BATCH),
        dataset.patient_batches([rows[one] for one in other], batch_size=PATIENTS_PER_BATCH),
        strict=True,
    )
    precision: Precision = prediction_precision(model)
    found: list[float] = []
    for own, others in batches:
        changed = control.change(own, others, 1 / (1 + 2 * margin))
        found += batch_probability(model.network, changed, precision=precision).cpu().tolist()
    return found


def _same(batch: Batch, _other: Batch, _share: float) -> Batch:
    """Nothing is changed."""
    return batch


def _swapped(batch: Batch, _other: Batch, _share: float) -> Batch:
    """US-1 as US-0 and US-0 as US-1."""
    return _with_frames(batch, first=Modality.US_1, second=Modality.US_0)


def _first_twice(batch: Batch, _other: Batch, _share: float) -> Batch:
    """US-0 at both time points."""
    return _with_frames(batch, first=Modality.US_0, second=Modality.US_0)


def _with_frames(batch: Batch, *, first: Modality, second: Modality) -> Batch:
    """Which frame stands at each time point."""
    images, available = dict(batch.images), dict(batch.available)
    for place, source in zip(ULTRASOUND, (first, second), strict=True):
        images[place], available[place] = batch.images[source], batch.available[source]
    return replace(batch, images=images, available=available)


def _blanked(batch: Batch, _other: Batch, share: float) -> Batch:
    """The lesion and all below it, where its shadow falls, painted in the mean grey."""
    images = dict(batch.images)
    for name in ULTRASOUND:
        if name in images:
            images[name] = _painted(images[name], share)
    return replace(batch, images=images)


def _painted(frames: Tensor, share: float) -> Tensor:
    """Frames (batch, channels, side, side) whose middle is the mean grey of training, 0."""
    side = frames.shape[-1]
    edge = max(0, int(np.floor(side * (1 - share) / 2)) - 1)
    painted = frames.clone()
    painted[..., edge:, edge : side - edge] = 0.0
    return painted


def _from_other(*names: Modality) -> Change:
    """Inputs of another patient, with what that patient lacks."""

    def change(batch: Batch, other: Batch, _share: float) -> Batch:
        images = {n: (other if n in names else batch).images[n] for n in batch.images}
        available = {n: (other if n in names else batch).available[n] for n in batch.available}
        clinical = (other if Modality.CLINICAL in names else batch).clinical
        return replace(batch, images=images, available=available, clinical=clinical)

    return change


def _withheld(*names: Modality) -> Change:
    """Inputs that count as missing."""

    def change(batch: Batch, _other: Batch, _share: float) -> Batch:
        known = batch.available
        gone = {str(n): torch.zeros_like(known[n]) for n in names if n in known}
        return replace(batch, available={**known, **gone})

    return change


def _surroundings(batch: Batch, other: Batch, share: float) -> Batch:
    """Of the frames what lies around the lesion; nothing of biopsy and clinical variables."""
    alone = _withheld(Modality.BIOPSY, Modality.CLINICAL)(batch, other, share)
    return _blanked(alone, other, share)


CONTROLS = (
    Control("labels permuted", "each patient gets another's label", (), (), _same,
            has_other_labels=True),
    Control("everything of another", "all inputs are another patient's", (), (),
            _from_other(*EVERYTHING)),
    Control("nothing shown", "every input counts as missing", (), (), _withheld(*EVERYTHING)),
    Control("surroundings only", "lesion and shadow painted over, biopsy and clinical withheld",
            (Modality.US_0,), (), _surroundings),
    Control("lesion blanked", "lesion and shadow painted over in both frames",
            (Modality.US_0,), (Modality.BIOPSY, Modality.CLINICAL), _blanked),
    Control("US-0 twice", "US-0 at both time points", ULTRASOUND,
            (Modality.BIOPSY, Modality.US_0, Modality.CLINICAL), _first_twice, falls=True),
    Control("US-0 and US-1 swapped", "the two time points exchanged", ULTRASOUND, EVERYTHING,
            _swapped, falls=True),
    Control("biopsy of another", "the biopsy is another patient's", (Modality.BIOPSY,),
            (*ULTRASOUND, Modality.CLINICAL), _from_other(Modality.BIOPSY)),
    Control("ultrasound of another", "both frames are another patient's", (Modality.US_0,),
            (Modality.BIOPSY, Modality.CLINICAL), _from_other(*ULTRASOUND)),
    Control("clinical of another", "the clinical variables are another patient's",
            (Modality.CLINICAL,), (Modality.BIOPSY, *ULTRASOUND), _from_other(Modality.CLINICAL)),
)  # fmt: skip
"""The ten controls; first those that leave nothing of the patient."""
