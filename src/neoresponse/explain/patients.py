"""Trained model + prepared store -> heat maps of some patients, as pictures and an index.

Each picture shows the image as the network got it, and beside it the same with heat over it.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from neoresponse.cohort.split import Assignment, read_split
from neoresponse.contracts.explanation import ExplainedPatient, Explanation, HeatMap
from neoresponse.contracts.record import write_record
from neoresponse.data.dataset import open_for
from neoresponse.data.forward import batch_probability
from neoresponse.durable import write_bytes
from neoresponse.errors import ConfigError, RunError
from neoresponse.explain.gradcam import Direction, grad_cam
from neoresponse.explain.maps import overlay
from neoresponse.models.trained import TrainedModel
from neoresponse.preprocess.store import Store
from neoresponse.types import (
    SIMULATED,
    FloatArray,
    Modality,
    Pixels,
)

SHOWN_PX = 288
"""Smallest side at which an image is shown; a smaller one is enlarged by a whole factor."""
STRIP_PX, FONT_PX, GAP_PX = 26, 18, 6
NAMES = {Modality.US_0: "US-0", Modality.US_1: "US-1", Modality.BIOPSY: "biopsy"}


@dataclass(frozen=True)
class Chosen:
    """A patient to explain, and the cohort it is shown under."""

    patient_id: str
    cohort: str


def choose_patients(assignments: Sequence[Assignment], *, num_patients: int) -> list[Chosen]:
    """Test patients, half of them with pCR as far as there are so many, by patient_id."""
    test = sorted((a for a in assignments if a.split == "test"), key=lambda a: a.patient_id)
    pcr = [a for a in test if a.label == 1][: (num_patients + 1) // 2]
    residual = [a for a in test if a.label == 0][: num_patients - len(pcr)]
    return [Chosen(a.patient_id, a.cohort) for a in (*pcr, *residual)]


def find_patients(
    run: Path, store: Store, named: Sequence[str], *, is_own: bool, num_patients: int
) -> list[Chosen]:
    """Whom to explain.

    Args:
        run: the run folder, or a model bundle.
        store: the prepared store.
        named: patients asked for by name.
        is_own: whether the store is the one that the run was trained on.
        num_patients: how many where none is named: test patients of the run's split if the store
            is its own, else the first of the store.

    Raises:
        RunError: a named patient is not in the store.
    """
    unknown = [patient_id for patient_id in named if patient_id not in store.row_of]
    if unknown:
        raise RunError(
            f"{unknown[0]}: expected a patient of {store.folder}, got none of this name. "
            "Its manifest.json lists them."
        )
    assignments = read_split(run) if is_own else ()
    cohorts = {a.patient_id: a.cohort for a in assignments}
    if named:
        return [Chosen(patient_id, cohorts.get(patient_id, "new")) for patient_id in named]
    if is_own:
        return choose_patients(assignments, num_patients=num_patients)
    return [Chosen(p.patient_id, "new") for p in store.patients[:num_patients]]


@dataclass(frozen=True)
class MapStyle:
    """How maps are drawn.

    Attributes:
        stage: stage whose map is weighed.
        threshold: a patient at or above it gets a map toward pCR, others toward residual disease.
    """

    stage: int
    threshold: float


def explain_patients(
    model: TrainedModel,
    store: Store,
    chosen: Iterable[Chosen],
    folder: Path,
    *,
    style: MapStyle,
) -> None:
    """Write a picture per image of each patient, and `explain.json`.

    Args:
        model: from `load_model`.
        store: the prepared store, made with the model's settings.
        chosen: whom to explain, one by one; may be tracked.
        folder: where to write; must exist.
        style: whose map is weighed, and which way.

    Raises:
        RunError: store and model do not fit.
        ConfigError: the network looks at no image.
    """
    dataset = open_for(model, store)
    if not dataset.inputs:
        raise ConfigError("model.pathways: expected an image pathway to explain, got none.")
    is_simulated = bool(store.manifest.is_simulated or model.card.trained_on.is_simulated)
    records = []
    for patient in chosen:
        row = store.row_of[patient.patient_id]
        batch = next(dataset.patient_batches([row], batch_size=1))
        probability = float(batch_probability(model.network, batch))
        toward: Direction = "pcr" if probability >= style.threshold else "residual"
        heat = grad_cam(model.network, batch, stage=style.stage, toward=toward)
        stored = store.patients[row]
        images = [
            HeatMap(
                input=name,
                file=_write_picture(
                    folder,
                    f"{patient.patient_id}_{name}.png",
                    _pair(np.asarray(dataset.arrays[name][row]), heat[name][0]),
                    caption=NAMES[Modality(name)] + (f"  {SIMULATED}" if is_simulated else ""),
                ),
            )
            for name in dataset.inputs
            if name in stored.available
        ]
        records.append(
            ExplainedPatient(
                patient_id=patient.patient_id,
                cohort=patient.cohort,
                label=stored.label,
                probability=probability,
                toward=toward,
                images=tuple(images),
            )
        )
    found = Explanation(stage=style.stage, is_simulated=is_simulated, patients=tuple(records))
    write_record(folder, found)


def _pair(pixels: Pixels, heat: Tensor) -> Pixels:
    """Image and image with heat, side by side, RGB; patches are put back together."""
    values: FloatArray = heat.cpu().numpy().astype(float)
    if pixels.ndim == 4:  # (patches, 3, side, side) -> (height, width, 3)
        num = round(len(pixels) ** 0.5)
        side = pixels.shape[-1]
        grid = pixels.reshape(num, num, 3, side, side).transpose(0, 3, 1, 4, 2)
        pixels = grid.reshape(num * side, num * side, 3)
        values = values.reshape(num, num, side, side).transpose(0, 2, 1, 3)
        values = values.reshape(num * side, num * side)
    plain = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    factor = max(1, -(-SHOWN_PX // plain.shape[0]))
    gap = np.full((plain.shape[0] * factor, GAP_PX, 3), 255, dtype=np.uint8)
    shown = (plain, overlay(pixels, values))
    left, right = (np.repeat(np.repeat(p, factor, axis=0), factor, axis=1) for p in shown)
    return np.hstack([left, gap, right])


def _write_picture(folder: Path, name: str, pixels: Pixels, *, caption: str) -> str:
    """Write a picture with its caption under it; its name."""
    height, width, _ = pixels.shape
    canvas = Image.new("RGB", (width, height + STRIP_PX), "white")
    canvas.paste(Image.fromarray(pixels), (0, 0))
    text, font = f"{caption}  research use only", ImageFont.load_default(size=FONT_PX)
    ImageDraw.Draw(canvas).text((4, height + 2), text, fill="black", font=font)
    content = io.BytesIO()
    canvas.save(content, format="PNG")
    write_bytes(folder / name, content.getvalue())
    return name
