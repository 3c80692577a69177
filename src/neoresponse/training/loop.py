"""The one training loop: settings + store + split -> checkpoints, metrics, the kept weights.

All state is on disk after each epoch, after every so many steps where asked for, and when a signal
asks for a stop. Whatever is drawn follows from seed, epoch and step. So a run that is stopped or
killed at any moment and started again ends with the same bytes.
"""

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neoresponse.data.forward import autocast, batch_logits
from neoresponse.durable import make_folder, write_text
from neoresponse.errors import Stopped
from neoresponse.models.checkpoint import Checkpoints, parse_state
from neoresponse.models.se_crosst import SECrossT
from neoresponse.settings import RunSettings, TrainSettings
from neoresponse.stats.discrimination import auc
from neoresponse.training.arrange import arrange, uncompiled
from neoresponse.training.finite import Readings
from neoresponse.training.fit import Fitted
from neoresponse.training.keep import Row, is_best, is_over
from neoresponse.training.memory import say_what_fits
from neoresponse.training.objective import sample_losses
from neoresponse.training.optim import clip_gradients, learning_rate, set_learning_rate
from neoresponse.training.plan import Drawn, EpochPlan, draw_plan, step_seed
from neoresponse.training.predict import patient_probability
from neoresponse.training.progress import Progress, write_progress
from neoresponse.training.state import Training, begin
from neoresponse.training.stop import StopRequest, stop_on_signals
from neoresponse.training.team import current_team
from neoresponse.training.trackers import Tracker, start_trackers
from neoresponse.types import Track, untracked

CHECKPOINTS, SHOWN = "checkpoints", "shown"


@dataclass(frozen=True)
class Place:
    """Where a training writes, and who watches.

    Attributes:
        folder: the run folder.
        identity: what the run becomes what it is from; a checkpoint of another is refused.
        track: shows progress by epoch.
    """

    folder: Path
    identity: str = ""
    track: Track = untracked


@dataclass(frozen=True)
class Saver:
    """Saves a training after checking it, and stops it where a signal asks."""

    checkpoints: Checkpoints
    stop: StopRequest
    every_steps: int | None

    def save(self, training: Training, readings: Readings) -> None:
        """Write all state; nothing that is not finite."""
        with training.team.together():
            tensors = training.tensors()
            readings.check(tensors)
            progress = training.progress
            progress.loss, progress.norm = readings.loss, readings.norm
            if training.team.is_first:
                self.checkpoints.save(tensors, training.state(), name=progress.name)

    def pause(self, training: Training, readings: Readings) -> None:
        """After a step: save where it is due."""
        step = training.progress.step
        is_due = self.every_steps is not None and step % self.every_steps == 0
        asked = self._asked(training)
        if is_due or asked:
            self.save(training, readings)
            _leave(training, asked)

    def leave(self, training: Training) -> None:
        """Stop where that was asked for; all is saved.

        Raises:
            Stopped: it was.
        """
        _leave(training, self._asked(training))

    def _asked(self, training: Training) -> int:
        """The signal that asked any of the processes to stop, or 0."""
        return training.team.most(self.stop.signal_number or 0)


def train_network(model: SECrossT, fitted: Fitted, settings: RunSettings, place: Place) -> Progress:
    """Train, or go on training, and leave the kept epoch's weights in the model.

    Args:
        model: the network, with its first weights, on the device of the dataset.
        fitted: samples and dataset.
        settings: the run.
        place: where to write.

    Raises:
        RunError: a loss, a gradient or a weight is not finite, no checkpoint is whole, a write
            failed, or memory does not suffice.
        Stopped: a signal asked for it.
    """
    team = current_team()
    checkpoints = Checkpoints(place.folder / CHECKPOINTS, place.identity)
    with say_what_fits(fitted, settings), ExitStack() as stack:
        training = _ready(model, settings.train, checkpoints)
        stop = stack.enter_context(stop_on_signals())
        with team.together():
            trackers = (
                stack.enter_context(start_trackers(place.folder, settings.train))
                if team.is_first
                else ()
            )
        saver = Saver(checkpoints, stop, settings.train.save_every_steps)
        left = settings.train.epochs - training.progress.epoch
        for _ in place.track(_epochs(training, settings.train), name="train", total=left):
            _train_epoch(training, fitted, settings, place, saver)
            _show(training, fitted, place, trackers)
            saver.leave(training)
        _show(training, fitted, place, trackers)  # a finished training may have lost its table
    if team.is_first:
        checkpoints.forget_older()
    model.load_state_dict(training.kept)
    return training.progress


def take_steps(
    training: Training, fitted: Fitted, settings: RunSettings, plan: EpochPlan, saver: Saver | None
) -> Readings:
    """The steps of an epoch that were not taken yet.

    Args:
        training: goes on in place.
        fitted: samples and dataset.
        settings: the run.
        plan: what the epoch shows.
        saver: saves and stops between steps; None where nobody asks for that.

    Raises:
        RunError: a loss or a gradient is not finite.
        Stopped: a signal asked for it.
    """
    training.model.train()
    progress, size = training.progress, settings.train.batch_size
    readings = Readings(epoch=progress.epoch, loss=progress.loss, norm=progress.norm)
    num_steps = -(-len(plan) // size)
    for step in range(progress.step, num_steps):
        taken = progress.epoch * num_steps + step
        rate = learning_rate(settings.train, step=taken, steps_per_epoch=num_steps)
        set_learning_rate(training.optimiser, rate)
        shown = plan.part(step * size, size)
        taken_in = _take_step(training, fitted, settings, shown)
        with training.team.alike():
            readings.add(*taken_in)
        if training.average is not None:
            training.average.update(taken + 1)
        progress.step = step + 1
        if saver is not None:
            saver.pause(training, readings)
    with training.team.alike():
        readings.read()
    return readings


def drawn_from(fitted: Fitted, settings: RunSettings) -> Drawn:
    """What epochs are drawn from."""
    store, samples = fitted.dataset.store, fitted.samples
    label = np.array([store.patients[row].label for row in samples.row])
    return Drawn(samples, label, num_patches=store.settings.num_patches, seed=settings.seed)


def _ready(model: SECrossT, settings: TrainSettings, checkpoints: Checkpoints) -> Training:
    """The training where it stands: before its first step, or at its newest state."""
    team = current_team()
    with team.together():
        arrange(model, settings)
        training = begin(model, settings)
        found = checkpoints.read() if team.is_first else None
    found = team.bytes_of_first(found)
    if found is None:
        training.take_over()
    else:
        training.restore(*parse_state(found))
    return training


def _show(training: Training, fitted: Fitted, place: Place, trackers: Sequence[Tracker]) -> None:
    """Write what shows all epochs so far."""
    with training.team.together():
        if training.team.is_first:
            write_progress(place.folder, training.progress, is_simulated=fitted.is_simulated)
            for tracker in trackers:
                tracker(training.progress.history)


def _epochs(training: Training, settings: TrainSettings) -> Iterator[int]:
    """The epochs that are left."""
    while not is_over(training.progress.history, settings):
        yield training.progress.epoch


def _train_epoch(
    training: Training, fitted: Fitted, settings: RunSettings, place: Place, saver: Saver
) -> None:
    """One pass over all samples, or what is left of it; validated and saved."""
    progress = training.progress
    plan = draw_plan(drawn_from(fitted, settings), settings.train, epoch=progress.epoch)
    with training.team.together():
        if plan.variation is not None and training.team.is_first:
            make_folder(place.folder / SHOWN)
            write_text(place.folder / SHOWN / f"epoch-{progress.epoch:03d}.csv", plan.to_csv())
    readings = take_steps(training, fitted, settings, plan, saver)
    row = {
        "epoch": progress.epoch,
        "train_loss": readings.loss / len(plan),
        "gradient_norm": readings.norm / progress.step,
        "learning_rate": _last_rate(settings.train, progress),
    }
    training.take_over()
    averaged = nullcontext() if training.average is None else training.average.in_place()
    with uncompiled(), averaged:
        row = training.team.of_first({**row, **_validate(training.model, fitted)})
        progress.end_epoch(row)
        if is_best(progress.history, settings.train):
            training.keep()
    readings.end_epoch()
    saver.save(training, readings)


def _take_step(
    training: Training, fitted: Fitted, settings: RunSettings, shown: EpochPlan
) -> tuple[Tensor, Tensor, list[str]]:
    """One step over some samples, part by part where asked for; a team's process takes its share.

    Returns:
        The loss of each sample, the norm of all gradients, and whose samples they were.
    """
    model, dataset, train = training.model, fitted.dataset, settings.train
    training.optimiser.zero_grad(set_to_none=True)
    losses = torch.zeros(len(shown), device=dataset.device)
    share, num = training.team.share(train.batch_size), train.micro_batch or train.batch_size
    for first in range(share.start, min(share.stop, len(shown)), num):
        part = shown.part(first, min(num, share.stop - first))
        at = training.progress
        torch.manual_seed(step_seed(settings.seed, epoch=at.epoch, step=at.step, first=first))
        patches = None if model.pools_patches else part.patches
        batch = dataset.training_batch(fitted.samples, part.chosen, patches, part.variation)
        with autocast(dataset.device, fitted.precision):
            logits = batch_logits(model, batch).squeeze(1)
        loss = sample_losses(logits.float(), batch.label, train)
        (loss.sum() / len(shown)).backward()  # type: ignore[no-untyped-call]
        losses[first : first + len(part)] = loss.detach()
    training.team.add_up(model, losses)
    # Without a largest norm the gradients stay as they are: their norm is still wanted.
    norm = clip_gradients(model, train.clip_norm)
    training.optimiser.step()
    return losses, norm, fitted.patient_ids(shown.chosen)


def _last_rate(settings: TrainSettings, progress: Progress) -> float:
    """Learning rate of the last step of the epoch under way."""
    steps = progress.step
    return learning_rate(settings, step=progress.epoch * steps + steps - 1, steps_per_epoch=steps)


def _validate(model: SECrossT, fitted: Fitted) -> Row:
    """Loss and accuracy at 0.5 on whole validation patients, and AUC where both classes are."""
    patients = fitted.dataset.store.patients
    probability = patient_probability(
        model, fitted.dataset, fitted.validation_rows, precision=fitted.precision
    )
    label = np.asarray([patients[row].label for row in fitted.validation_rows])
    area = auc(label, probability)
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    loss = -np.mean(label * np.log(clipped) + (1 - label) * np.log(1 - clipped))
    row = {
        "validation_loss": float(loss),
        "validation_accuracy": float(np.mean((probability >= 0.5) == (label == 1))),
    }
    return row if area is None else {**row, "validation_auc": area}


def _leave(training: Training, asked: int) -> None:
    """Stop where a signal asked for it."""
    if not asked:
        return
    progress = training.progress
    with training.team.alike():
        raise Stopped(
            f"{signal.Signals(asked).name} in epoch {progress.epoch} after {progress.step} steps "
            "of it; all state is saved. Run the same command again to continue.",
            asked,
        )
