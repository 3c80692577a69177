"""The one training loop: settings + store + split -> run folder (contract 3).

After each epoch all state is on disk; order, patches and dropped paths of an epoch follow from the
seed and the epoch's number alone. So a run that is killed and started again ends with the same
bytes.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from neoresponse.config import RunSettings
from neoresponse.data.dataset import Dataset
from neoresponse.data.forward import autocast, batch_logits
from neoresponse.errors import RunError
from neoresponse.models.checkpoint import load_checkpoint, load_tensors, save_checkpoint
from neoresponse.models.se_crosst import SECrossT
from neoresponse.stats.discrimination import auc
from neoresponse.training.arrange import arrange, uncompiled
from neoresponse.training.fit import Fitted
from neoresponse.training.optim import make_optimiser, restore_state, state_tensors
from neoresponse.training.predict import patient_probability
from neoresponse.types import Track, untracked

CHECKPOINTS = "checkpoints"
READ_EVERY = 32
"""Losses are read from the device so many batches at a time."""
_WEIGHTS = "weights/"
_ORDER, _DROPPED = 1, 2  # names of the random streams

Row = dict[str, float]


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        history: one row of metrics per finished epoch.
        kept_epoch: the best epoch so far among those that may be kept.
        kept_file: tensor file of that epoch.
        kept_sha256: its hash.
    """

    history: list[Row] = field(default_factory=list)
    kept_epoch: int | None = None
    kept_file: str | None = None
    kept_sha256: str | None = None


def train_network(
    model: SECrossT,
    fitted: Fitted,
    settings: RunSettings,
    folder: Path,
    *,
    track: Track = untracked,
) -> Progress:
    """Train, or go on training, and leave the kept epoch's weights in the model.

    Args:
        model: the network, with its initial weights, on the device of the dataset.
        fitted: samples and dataset.
        settings: the run.
        folder: the run folder; its `checkpoints/` is read and written.
        track: shows progress by epoch.

    Raises:
        RunError: the loss is not finite, or a checkpoint is damaged.
    """
    arrange(model, settings.train)
    optimiser = make_optimiser(model, settings.train)
    progress = _resume(model, optimiser, folder / CHECKPOINTS)
    epochs = range(len(progress.history), settings.train.epochs)
    for epoch in track(epochs, name="train", total=len(epochs)):
        train_loss = train_epoch(model, optimiser, fitted, settings, epoch=epoch)
        with uncompiled():
            validated = _validate(model, fitted)
        row = {"epoch": epoch, "train_loss": train_loss, **validated}
        progress.history.append(row)
        _save(model, optimiser, progress, folder / CHECKPOINTS, settings=settings)
    kept = _kept_weights(progress, folder / CHECKPOINTS)
    model.load_state_dict(kept)
    return progress


def metrics_csv(progress: Progress) -> str:
    """`metrics.csv`: one line per epoch, the kept one marked."""
    text = io.StringIO()
    names = ["epoch", "train_loss", "validation_loss", "validation_accuracy", "validation_auc"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "is_kept"])
    for row in progress.history:
        is_kept = int(row["epoch"] == progress.kept_epoch)
        writer.writerow([*(repr(row[name]) for name in names), is_kept])
    return text.getvalue()


def train_epoch(
    model: SECrossT,
    optimiser: torch.optim.Optimizer,
    fitted: Fitted,
    settings: RunSettings,
    *,
    epoch: int,
) -> float:
    """One pass over all samples; the mean loss.

    Raises:
        RunError: the loss of a batch is not finite.
    """
    model.train()
    torch.manual_seed(_stream_seed(settings.seed, _DROPPED, epoch))
    rng = np.random.default_rng([settings.seed, _ORDER, epoch])
    order = rng.permutation(len(fitted.samples))
    num_patches = fitted.dataset.store.settings.num_patches
    patches = rng.integers(num_patches, size=len(order))
    losses = _Losses(epoch)
    for start in range(0, len(order), settings.train.batch_size):
        some = slice(start, start + settings.train.batch_size)
        shown = None if model.pools_patches else patches[some]
        batch = fitted.dataset.training_batch(fitted.samples, order[some], shown)
        with autocast(fitted.dataset.device, fitted.precision):
            logits = batch_logits(model, batch).squeeze(1)
        loss = nnf.binary_cross_entropy_with_logits(logits.float(), batch.label)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.add(loss, batch.patient_ids)
    return losses.read() / len(order)


class _Losses:
    """The losses of an epoch, read from the device many at a time.

    Reading one waits until the device has computed it. Read at each step, a GPU would stand idle
    while the next one is queued.
    """

    def __init__(self, epoch: int) -> None:
        """Start at nothing; `epoch` is for the message."""
        self._epoch = epoch
        self._sum = 0.0
        self._unread: list[tuple[Tensor, tuple[str, ...]]] = []

    def add(self, loss: Tensor, patient_ids: tuple[str, ...]) -> None:
        """Take a batch's mean loss."""
        self._unread.append((loss.detach(), patient_ids))
        if len(self._unread) == READ_EVERY:
            self.read()

    def read(self) -> float:
        """The sum over all samples so far.

        Raises:
            RunError: a loss is not a number; it says whose batch was the first.
        """
        if not self._unread:
            return self._sum
        losses, batches = zip(*self._unread, strict=True)
        self._unread = []
        for value, patient_ids in zip(torch.stack(losses).tolist(), batches, strict=True):
            if not math.isfinite(value):
                named = ", ".join(sorted(set(patient_ids)))
                raise RunError(
                    f"epoch {self._epoch}: expected a finite loss, got {value} in a batch of "
                    f"patients {named}. Lower train.learning_rate or look at these images."
                )
            self._sum += value * len(patient_ids)
        return self._sum


def _stream_seed(seed: int, stream: int, epoch: int) -> int:
    """A seed for torch's generator that follows from the run's seed."""
    return int(np.random.SeedSequence([seed, stream, epoch]).generate_state(1, np.uint64)[0] >> 1)


def _validate(model: SECrossT, fitted: Fitted) -> Row:
    """Loss, accuracy at 0.5 and AUC on whole validation patients."""
    dataset: Dataset = fitted.dataset
    probability = patient_probability(
        model, dataset, fitted.validation_rows, precision=fitted.precision
    )
    label = np.asarray([dataset.store.patients[row].label for row in fitted.validation_rows])
    area = auc(label, probability)
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    loss = -np.mean(label * np.log(clipped) + (1 - label) * np.log(1 - clipped))
    return {
        "validation_loss": float(loss),
        "validation_accuracy": float(np.mean((probability >= 0.5) == (label == 1))),
        "validation_auc": 0.5 if area is None else area,
    }


def _save(
    model: SECrossT,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    folder: Path,
    *,
    settings: RunSettings,
) -> None:
    """Write all state; decide whether this epoch is the one to keep."""
    weights = {f"{_WEIGHTS}{name}": tensor for name, tensor in model.state_dict().items()}
    if _is_best(progress.history, settings.train.keep_from_epoch):
        progress.kept_epoch = int(progress.history[-1]["epoch"])
        progress.kept_file = progress.kept_sha256 = None  # this very file, named once it is written
    state: dict[str, Any] = {
        "history": progress.history,
        "kept_epoch": progress.kept_epoch,
        "kept_file": progress.kept_file,
        "kept_sha256": progress.kept_sha256,
    }
    stored = save_checkpoint(folder, {**weights, **state_tensors(optimiser, model)}, state)
    if progress.kept_epoch is not None and progress.kept_file is None:
        progress.kept_file, progress.kept_sha256 = stored


def _is_best(history: Sequence[Row], keep_from_epoch: int) -> bool:
    """Whether the last epoch is the best that may be kept.

    Highest validation accuracy; of equals, the lowest validation loss; of those, the first.
    """
    allowed = [row for row in history if row["epoch"] >= keep_from_epoch]
    if not allowed or allowed[-1] is not history[-1]:
        return False
    return min(allowed, key=_rank) is history[-1]


def _rank(row: Row) -> tuple[float, float]:
    """Smaller is better."""
    return -row["validation_accuracy"], row["validation_loss"]


def _resume(model: SECrossT, optimiser: torch.optim.Optimizer, folder: Path) -> Progress:
    """Load the last whole state, if there is one."""
    found = load_checkpoint(folder)
    if found is None:
        return Progress()
    state, tensors = found
    model.load_state_dict(_weights_in(tensors))
    restore_state(optimiser, model, tensors)
    is_own = state["kept_epoch"] is not None and state["kept_file"] is None
    return Progress(
        history=state["history"],
        kept_epoch=state["kept_epoch"],
        kept_file=state["file"] if is_own else state["kept_file"],
        kept_sha256=state["sha256"] if is_own else state["kept_sha256"],
    )


def _kept_weights(progress: Progress, folder: Path) -> dict[str, Tensor]:
    """Weights of the kept epoch."""
    assert progress.kept_file is not None
    assert progress.kept_sha256 is not None
    return _weights_in(load_tensors(folder / progress.kept_file, sha256=progress.kept_sha256))


def _weights_in(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The network's own tensors of a checkpoint."""
    return {
        name.removeprefix(_WEIGHTS): tensor
        for name, tensor in tensors.items()
        if name.startswith(_WEIGHTS)
    }
