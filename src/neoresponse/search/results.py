"""Trials -> `trials.csv`, `best.toml` and `search.svg`; no times in them, so that bytes repeat."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import tomli_w

from neoresponse.durable import write_bytes, write_text
from neoresponse.report.search_figure import SearchShown, search_figure
from neoresponse.search.journal import Trial
from neoresponse.search.space import settings_with
from neoresponse.settings import RunSettings, SearchSettings
from neoresponse.types import SIMULATED

TRIALS, BEST, PICTURE = "trials.csv", "best.toml", "search.svg"


def best_of(trials: Sequence[Trial], search: SearchSettings) -> Trial | None:
    """The best trial, of equals the first; None where all failed."""
    sign = -1 if search.measure == "auc" else 1
    ranked = [(sign * one.value, one.number, one) for one in trials if one.value is not None]
    return min(ranked)[2] if ranked else None


def write_results(
    folder: Path,
    trials: Sequence[Trial],
    settings: RunSettings,
    *,
    num_patients: int,
    is_simulated: bool,
) -> None:
    """Write what is known so far.

    Args:
        folder: the search folder.
        trials: those that were told.
        settings: of the search.
        num_patients: training patients, whom the inner folds divide.
        is_simulated: whether they come from a phantom.
    """
    search = settings.search
    write_text(folder / TRIALS, trials_csv(trials, search))
    best = best_of(trials, search)
    if best is None:
        return
    about = (
        f"# Trial {best.number}, the best of {len(trials)}: mean {in_words(search)} "
        f"{best.value:.4f} over {search.folds} inner folds of {num_patients} training patients.\n"
        "# It was chosen by this number, which is therefore optimistic. Train it, then test it on "
        "test patients.\n"
    )
    about += f"# {SIMULATED} patients.\n" if is_simulated else ""
    content = settings_with(settings, best.values)
    dumped = content.model_dump(mode="json", exclude_none=True, exclude={"search"})
    write_text(folder / BEST, about + tomli_w.dumps(dumped))
    shown = SearchShown(
        measure=in_words(search),
        is_high_good=search.measure == "auc",
        points=tuple((one.number, one.value, one.values) for one in trials),
        log_keys=tuple(key for key, one in search.space.items() if one.log),
        keys=tuple(sorted(search.space)),
        best=best.number,
    )
    write_bytes(folder / PICTURE, search_figure(shown, is_simulated=is_simulated))


def trials_csv(trials: Sequence[Trial], search: SearchSettings) -> str:
    """One line per trial that was told."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    keys, folds = sorted(search.space), range(search.folds)
    writer.writerow(["number", "state", "value", *keys, *(f"fold_{k}" for k in folds)])
    for one in trials:
        values = [_cell(one.values[key]) for key in keys]
        measured = [repr(value) for value in one.folds] or [""] * search.folds
        state, value = ("failed", "") if one.value is None else ("complete", repr(one.value))
        writer.writerow([one.number, state, value, *values, *measured])
    return text.getvalue()


def in_words(search: SearchSettings) -> str:
    """The measure, as it stands in a sentence."""
    return {"auc": "validation AUC", "loss": "validation loss"}[search.measure]


def _cell(value: object) -> str:
    """A value as the settings file writes it, text without quotation marks."""
    return value if isinstance(value, str) else json.dumps(value)
