"""Training samples: drawn once, recorded, and applied to whole batches on the device.

Guo 2024, Methods: each training pCR patient is also flipped up-down and left-right (391 -> 601);
ours: only where three times as many pCR samples come nearer to the others (`flips_pcr`). Then
each sample has four variants by rotation up to 10 degrees and scaling (601 -> 3005), and
ultrasound is varied again to four versions (3005 -> 12,020): "one round of data augmentation to
pathology images and two rounds ... to ultrasound images". The second round starts from the first,
so angles add and magnifications multiply: up to 20 degrees, 0.81 to 1.21 with the default settings.
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import product

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from neoresponse.settings import AugmentSettings
from neoresponse.types import FloatArray, IntArray

NO_FLIP, UP_DOWN, LEFT_RIGHT = (False, False), (True, False), (False, True)


@dataclass(frozen=True)
class Samples:
    """Training samples and how each differs from its patient's stored images; all (samples,).

    Attributes:
        row: the patient's row in the prepared store.
        is_flipped_ud: up-down flip, of all images.
        is_flipped_lr: left-right flip, of all images.
        angle_deg: rotation of the biopsy, counter-clockwise, in degrees.
        scale: magnification of the biopsy.
        us_angle_deg: rotation of both ultrasound frames, in degrees; of both rounds together.
        us_scale: magnification of both ultrasound frames; of both rounds together.
    """

    row: IntArray
    is_flipped_ud: IntArray
    is_flipped_lr: IntArray
    angle_deg: FloatArray
    scale: FloatArray
    us_angle_deg: FloatArray
    us_scale: FloatArray

    def __len__(self) -> int:
        return len(self.row)

    def to_csv(self) -> str:
        """The record of all samples, one a line."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = [column.name for column in fields(self)]
        writer.writerow(names)
        writer.writerows(zip(*(getattr(self, name).tolist() for name in names), strict=True))
        return text.getvalue()


def draw_samples(
    patient_ids: Sequence[str],
    rows: Sequence[int],
    label: Sequence[int],
    settings: AugmentSettings,
    *,
    seed: int,
) -> Samples:
    """Draw every training sample.

    A patient's draws depend on the seed and on the patient alone, not on who else is trained on;
    whether it is flipped, on how many there are of each class.

    Args:
        patient_ids: training patients.
        rows: their rows in the prepared store.
        label: 1 for pCR, 0 for residual disease.
        settings: how many variants, and how far they go.
        seed: the run's seed.
    """
    table: list[tuple[float, ...]] = []
    is_flipped = settings.flips_pcr(label)
    for patient_id, row, outcome in zip(patient_ids, rows, label, strict=True):
        digest = hashlib.sha256(patient_id.encode()).digest()
        rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
        flips = [NO_FLIP, UP_DOWN, LEFT_RIGHT] if is_flipped and outcome == 1 else [NO_FLIP]
        for flip, variant in product(flips, range(1 + settings.num_variants)):
            angle, scale = _draw_change(rng, settings) if variant else (0.0, 1.0)
            for version in range(settings.us_factor):
                more_angle, more_scale = _draw_change(rng, settings) if version else (0.0, 1.0)
                table.append((row, *flip, angle, scale, angle + more_angle, scale * more_scale))
    columns = list(zip(*table, strict=True))
    whole, real = np.int64, np.float32
    kinds = (whole, whole, whole, real, real, real, real)
    return Samples(
        *(np.asarray(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True))
    )


def _draw_change(rng: np.random.Generator, settings: AugmentSettings) -> tuple[float, float]:
    """A rotation in degrees and a magnification."""
    angle = rng.uniform(-settings.max_rotation_deg, settings.max_rotation_deg)
    return float(angle), float(rng.uniform(1 - settings.max_scaling, 1 + settings.max_scaling))


def apply_changes(
    images: Tensor, *, angle_deg: Tensor, scale: Tensor, flip_ud: Tensor, flip_lr: Tensor
) -> Tensor:
    """Flip, rotate and scale a batch, each image in its own way, around its centre.

    What comes in from beyond the edge is the image mirrored.

    Args:
        images: (batch, channels, height, width).
        angle_deg: counter-clockwise rotation, (batch,).
        scale: magnification, (batch,).
        flip_ud: 1 to flip up-down, (batch,).
        flip_lr: 1 to flip left-right, (batch,).

    Returns:
        Images of the same shape; an image that is not changed comes back as it was.
    """
    angle = torch.deg2rad(angle_deg)
    sign_x, sign_y = 1.0 - 2.0 * flip_lr, 1.0 - 2.0 * flip_ud
    zero = torch.zeros_like(angle)
    # Rows map an output position to the input position it is read from.
    row_x = torch.stack([sign_x * torch.cos(angle), -sign_x * torch.sin(angle), zero], dim=1)
    row_y = torch.stack([sign_y * torch.sin(angle), sign_y * torch.cos(angle), zero], dim=1)
    theta = torch.stack([row_x, row_y], dim=1) / scale[:, None, None]  # (batch, 2, 3)
    grid = nnf.affine_grid(theta, list(images.shape), align_corners=False)
    changed = nnf.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    is_same = (angle_deg == 0) & (scale == 1) & (flip_ud == 0) & (flip_lr == 0)
    return torch.where(is_same[:, None, None, None], images, changed)
