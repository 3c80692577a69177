"""A search over settings in one folder: trials one by one, each a training per inner fold.

Only the split's training patients take part. They are divided into inner folds; a trial's value is
the mean of a measure over the folds, at the kept epoch. A search that is stopped or killed goes on
with the same command, and ends with the same bytes.
"""

import csv
import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import neoresponse
from neoresponse.cohort.split import Assignment, split_csv
from neoresponse.contracts.record import has_record, read_record, write_record
from neoresponse.contracts.search import SearchInputs
from neoresponse.durable import (
    make_folder,
    only_one,
    sha256_of,
    write_text,
)
from neoresponse.errors import ConfigError, RunError
from neoresponse.folders import check_output, record_folder, set_aside
from neoresponse.preprocess.store import MANIFEST, Store
from neoresponse.search.folds import inner_folds
from neoresponse.search.journal import FILE_NAME as JOURNAL
from neoresponse.search.journal import Journal, Trial, load_optuna, open_journal
from neoresponse.search.results import BEST, PICTURE, TRIALS, best_of, in_words, write_results
from neoresponse.search.space import check_space, settings_with
from neoresponse.settings import RunSettings
from neoresponse.training.loop import CHECKPOINTS
from neoresponse.training.progress import METRICS
from neoresponse.training.run import MODEL, RUN, train_run
from neoresponse.types import Say, Track, silent, untracked

REASON = "failed.txt"
RECORDED = (
    *(SearchInputs.FILE_NAME, TRIALS, BEST, PICTURE, JOURNAL, f"{JOURNAL}.lock"),
    f"trials/*/{REASON}",
)
"""Patterns of what a search writes beside its trainings."""
Folds = tuple[tuple[Assignment, ...], ...]


@dataclass(frozen=True)
class Search:
    """What is searched, on whom, and who watches.

    Attributes:
        store: the prepared store.
        assignments: the split; only its training patients are looked at.
        settings: what all trials share, and under `search` what varies.
        track: shows progress within a training.
        say: gets one line per trial.
        clock: seconds, for the time left.
    """

    store: Store
    assignments: Sequence[Assignment]
    settings: RunSettings
    track: Track = untracked
    say: Say = silent
    clock: Callable[[], float] = time.monotonic

    @property
    def is_simulated(self) -> bool:
        """Whether the patients come from a phantom."""
        return self.store.manifest.is_simulated


def run_search(search: Search, folder: Path, *, force: bool = False) -> Path:
    """Try settings until the wanted number of trials is done.

    Args:
        search: what is searched.
        folder: made where it is not there, gone on with where it holds this very search.
        force: begin again; a search that is there is kept under another name.

    Returns:
        Path of `best.toml`, the settings of the best trial.

    Raises:
        ConfigError: a key, a bound or the number of folds cannot be.
        MissingExtraError: Optuna is not installed.
        RunError: the folder holds another search, a write failed, or every trial failed.
        Stopped: a signal asked for it.
    """
    settings = search.settings
    check_space(settings)
    if search.store.settings != settings.prepare:
        raise ConfigError(
            f"{search.store.folder}: expected the settings under [prepare] that this search names, "
            "got others. Prepare the cohort with the same settings file."
        )
    folds = inner_folds(search.assignments, settings.search.folds, seed=settings.seed)
    load_optuna()
    with only_one(folder):
        check_output(folder, mark=SearchInputs.FILE_NAME, force=True)
        if force:
            set_aside(folder, mark=SearchInputs.FILE_NAME)
        make_folder(folder)
        record_folder(folder, mark=SearchInputs.FILE_NAME, files=RECORDED)
        _claim(folder, search, folds)
        with open_journal(folder, settings.search, seed=settings.seed) as journal:
            _try_all(search, folder, folds, journal)
            trials = journal.trials
    if best_of(trials, settings.search) is None:
        last = folder / "trials" / _name(trials[-1]) / REASON
        said = last.read_text(encoding="utf-8").strip() if last.is_file() else "no reason"
        raise RunError(
            f"{folder}: expected a trial that can be trained, got {len(trials)} that failed, the "
            f"last with: {said}"
        )
    return folder / BEST


def _claim(folder: Path, search: Search, folds: Folds) -> None:
    """Make sure that what is in the folder is this very search, or begin it.

    The number of trials is free to change: they come one after the other.
    """
    dumped = search.settings.model_dump(mode="json")
    dumped["search"].pop("trials")
    inputs = SearchInputs(
        software=f"neoresponse {neoresponse.__version__}",
        settings=dumped,
        prepared_sha256=sha256_of(search.store.folder / MANIFEST),
        folds_sha256=tuple(hashlib.sha256(split_csv(f).encode()).hexdigest() for f in folds),
    )
    if has_record(folder, SearchInputs) and read_record(folder, SearchInputs) != inputs:
        raise RunError(
            f"{folder}: expected the settings, store and split that this search was started with, "
            "got others. Use those, name another folder, or begin again with --force."
        )
    write_record(folder, inputs)


def _try_all(search: Search, folder: Path, folds: Folds, journal: Journal) -> None:
    """Trial after trial."""
    wanted, started, since = search.settings.search.trials, search.clock(), 0
    trials = journal.trials
    if trials:
        _write(search, folder, trials, folds)
        search.say(f"{len(trials)} of {wanted} trials are done")
    while len(trials) < wanted:
        trial = journal.ask()
        search.say(f"trial {trial.number}: {_shown(trial)}")
        journal.tell(_folds_of(search, folder, folds, trial))
        trials, since = journal.trials, since + 1
        _write(search, folder, trials, folds)
        seconds = (search.clock() - started) / since * (wanted - len(trials))
        search.say(_line(trials, search.settings, left=seconds))


def _folds_of(search: Search, folder: Path, folds: Folds, trial: Trial) -> list[float]:
    """The measure in each inner fold that has one; empty where the trial failed."""
    place, found = folder / "trials" / _name(trial), []
    try:
        settings = settings_with(search.settings, trial.values)
        for number, fold in enumerate(folds):
            run = place / f"fold-{number}"
            if not (run / RUN).exists():
                train_run(search.store, fold, settings, run, track=search.track)
            value = _kept_value(run, search.settings.search.measure)
            found += [] if value is None else [value]
            _forget_weights(run)
    except (ConfigError, RunError) as error:
        if isinstance(error.__cause__, OSError):
            raise  # a full disk or a lost file says nothing about the settings
        make_folder(place)
        write_text(place / REASON, f"{error}\n")
        for number in range(len(folds)):
            _forget_weights(place / f"fold-{number}")
        search.say(f"trial {trial.number} failed: {error}")
        return []
    return found


def _kept_value(run: Path, measure: str) -> float | None:
    """A measure at the kept epoch of a finished run; None where its patients give none."""
    try:
        lines = (run / METRICS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RunError(
            f"{run / METRICS}: expected this file of a finished training, got {error.strerror}. "
            "Begin again with --force."
        ) from error
    kept = next(row for row in csv.DictReader(lines) if row["is_kept"] == "1")
    value = kept[f"validation_{measure}"]
    return float(value) if value else None


def _forget_weights(run: Path) -> None:
    """Nobody will use them: the best settings are trained anew, on all training patients."""
    for name in (CHECKPOINTS, MODEL):
        shutil.rmtree(run / name, ignore_errors=True)


def _write(search: Search, folder: Path, trials: Sequence[Trial], folds: Folds) -> None:
    """Everything that is known so far."""
    write_results(
        folder,
        trials,
        search.settings,
        num_patients=len(folds[0]),
        is_simulated=search.is_simulated,
    )


def _line(trials: Sequence[Trial], settings: RunSettings, *, left: float) -> str:
    """How the last trial did, and how long the others will take."""
    search, last = settings.search, trials[-1]
    best = best_of(trials, search)
    text = f"trial {last.number} ({len(trials)} of {search.trials}): "
    if last.value is None:
        text += "failed"
    else:
        each = ", ".join(f"{value:.3f}" for value in last.folds)
        text += f"mean {in_words(search)} {last.value:.3f} (folds {each})"
    if best is not None:
        text += f"; best {best.value:.3f}, trial {best.number}"
    return text + (f"; about {_duration(left)} left" if left else "")


def _duration(seconds: float) -> str:
    """Seconds, minutes or hours, whatever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _shown(trial: Trial) -> str:
    """Its values."""

    def say(value: Any) -> str:  # noqa: ANN401 (any setting)
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    return ", ".join(f"{key} = {say(value)}" for key, value in trial.values.items())


def _name(trial: Trial) -> str:
    """Its folder."""
    return f"{trial.number:04d}"
