"""Which epoch is kept, and when a training is over.

Guo 2024, Experiments: "the network was trained for 60 epochs ... At the 40th epoch, the model
exhibiting the highest ACC over the preceding 20 epochs was chosen". Ours: best of epochs 40-59. To
the letter it is the best of 20-39 (`keep_from_epoch = 20`, `keep_before_epoch = 40`).
"""

from collections.abc import Sequence

from neoresponse.settings import TrainSettings

Row = dict[str, float]
"""Metrics of an epoch; one that is not defined, as an AUC of one class, has no entry."""


def is_best(history: Sequence[Row], settings: TrainSettings) -> bool:
    """Whether the last epoch is the best that may be kept.

    Of equals in accuracy or AUC the one with the lowest validation loss counts; of those, the
    first.

    Args:
        history: metrics of all epochs so far.
        settings: of the training.
    """
    allowed = _allowed(history, settings)
    if not allowed or allowed[-1] is not history[-1]:
        return False
    return settings.keep == "last" or _best(allowed, settings) is history[-1]


def is_over(history: Sequence[Row], settings: TrainSettings) -> bool:
    """Whether all epochs are done, or `patience` of them brought nothing better."""
    if len(history) >= settings.epochs:
        return True
    allowed = _allowed(history, settings)
    if settings.patience is None or not allowed:
        return False
    return history[-1]["epoch"] - _best(allowed, settings)["epoch"] >= settings.patience


def _allowed(history: Sequence[Row], settings: TrainSettings) -> list[Row]:
    """Epochs that may be kept."""
    return [row for row in history if row["epoch"] in settings.kept_epochs]


def _best(allowed: Sequence[Row], settings: TrainSettings) -> Row:
    """The best of some epochs; of equals the first. Without an AUC the loss decides."""
    if settings.keep == "loss":
        return min(allowed, key=lambda row: row["validation_loss"])
    name = f"validation_{settings.keep}"
    return min(allowed, key=lambda row: (-row.get(name, 0.0), row["validation_loss"]))
