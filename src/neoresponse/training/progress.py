"""How far a training has come, and what shows it while it runs: `metrics.csv`, `progress.svg`."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from neoresponse.durable import write_text
from neoresponse.training.keep import Row
from neoresponse.training.picture import progress_svg

METRICS, PICTURE = "metrics.csv", "progress.svg"
COLUMNS = (
    *("epoch", "train_loss", "validation_loss", "validation_accuracy", "validation_auc"),
    *("learning_rate", "gradient_norm"),
)


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        history: one row of metrics per finished epoch.
        step: steps taken in the epoch under way.
        loss: sum of the losses of the samples of those steps.
        norm: sum of the gradient norms of those steps.
        kept_epoch: the best epoch so far among those that may be kept.
    """

    history: list[Row] = field(default_factory=list)
    step: int = 0
    loss: float = 0.0
    norm: float = 0.0
    kept_epoch: int | None = None

    @property
    def epoch(self) -> int:
        """The epoch under way, counted from 0."""
        return len(self.history)

    @property
    def name(self) -> str:
        """A name that sorts as trainings come along."""
        return f"{self.epoch:05d}-{self.step:07d}"

    def end_epoch(self, row: Row) -> None:
        """Take in the metrics of the epoch under way; the next one begins."""
        self.history.append(row)
        self.step, self.loss, self.norm = 0, 0.0, 0.0


def write_progress(folder: Path, progress: Progress, *, is_simulated: bool) -> None:
    """Write table and picture of all epochs so far.

    Args:
        folder: the run folder.
        progress: with at least one epoch.
        is_simulated: whether the patients come from a phantom.
    """
    write_text(folder / METRICS, metrics_csv(progress))
    picture = progress_svg(
        progress.history, kept_epoch=progress.kept_epoch, is_simulated=is_simulated
    )
    write_text(folder / PICTURE, picture)


def metrics_csv(progress: Progress) -> str:
    """One line per epoch, the kept one marked; a metric that is not defined is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "is_kept"])
    for row in progress.history:
        is_kept = int(row["epoch"] == progress.kept_epoch)
        values = [repr(row[name]) if name in row else "" for name in COLUMNS]
        writer.writerow([*values, is_kept])
    return text.getvalue()
