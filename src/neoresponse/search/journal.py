"""Optuna behind one small wall: what to try next, and what came of it, in `journal.log`.

A sampler's state is not in the journal. So every draw has a sampler of its own, seeded from the
search's seed, the trial's number and the key: a search that goes on proposes what it would have
proposed. A journal is read and written by one process at a time; the caller sees to that.
"""

import json
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from neoresponse.errors import MissingExtraError, RunError
from neoresponse.settings import DimensionSettings, SearchSettings

FILE_NAME = "journal.log"
_FOLDS = "folds"


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, or are to be.

    Attributes:
        number: counted from 0.
        values: dotted key -> value.
        folds: the measure in each inner fold; empty where it failed or is not done.
        is_done: whether it was told.
    """

    number: int
    values: dict[str, JsonValue]
    folds: tuple[float, ...] = ()
    is_done: bool = False

    @property
    def value(self) -> float | None:
        """Mean over the folds, None without any."""
        return math.fsum(self.folds) / len(self.folds) if self.folds else None


def load_optuna() -> Any:  # noqa: ANN401 (a module that may not be there)
    """Import Optuna.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module("optuna")
    except ImportError:
        raise MissingExtraError(
            "search: expected the package optuna, which is not installed. "
            "Install it with `pip install 'neoresponse[search]'`."
        ) from None


class Journal:
    """The trials of one search."""

    def __init__(self, study: Any, search: SearchSettings, *, seed: int, folder: Path) -> None:  # noqa: ANN401 (Optuna's)
        """As `open_journal` gives it."""
        self._optuna = load_optuna()
        self._study, self._search, self._seed, self._folder = study, search, seed, folder
        self._asked: Any = None

    @property
    def trials(self) -> list[Trial]:
        """Trials that were told, in order."""
        is_done = self._optuna.trial.TrialState.is_finished
        return [
            Trial(one.number, _decoded(one.params), tuple(one.user_attrs.get(_FOLDS, ())), True)
            for one in self._study.get_trials(deepcopy=False)
            if is_done(one.state)
        ]

    def ask(self) -> Trial:
        """The trial that was begun and not told, or a new one."""
        with _in_words(self._folder):
            return self._ask()

    def tell(self, folds: list[float]) -> None:
        """What came of the trial asked for last; no folds: it failed."""
        with _in_words(self._folder):
            if folds:
                self._asked.set_user_attr(_FOLDS, folds)
                self._study.tell(self._asked, math.fsum(folds) / len(folds))
            else:
                self._study.tell(self._asked, state=self._optuna.trial.TrialState.FAIL)

    def _ask(self) -> Trial:
        """Draw what was not drawn yet."""
        known = self._study.get_trials(deepcopy=False)
        number = next((t.number for t in known if not t.state.is_finished()), len(known))
        self._study.sampler = self._sampler(number, 0)
        if number < len(known):
            # Optuna gives a trial out once; its constructor is how it comes back after a kill.
            self._asked = self._optuna.trial.Trial(self._study, known[number]._trial_id)
        else:
            self._asked = self._study.ask()
        _ = self._asked.relative_params  # drawn here, before a sampler of one key takes its place
        drawn = {}
        for place, (key, dimension) in enumerate(sorted(self._search.space.items()), start=1):
            self._study.sampler = self._sampler(number, place)
            drawn[key] = _suggest(self._asked, key, dimension)
        return Trial(number, _decoded(drawn))

    def _sampler(self, number: int, place: int) -> Any:  # noqa: ANN401 (Optuna's)
        """A sampler that depends on nothing but its place and the trials told."""
        seed = np.random.SeedSequence([self._seed, number, place]).generate_state(1)[0]
        return self._optuna.samplers.TPESampler(seed=int(seed), constant_liar=False)


@contextmanager
def open_journal(folder: Path, search: SearchSettings, *, seed: int) -> Iterator[Journal]:
    """Open the journal of a search, or begin it; Optuna itself says nothing meanwhile.

    Args:
        folder: where `journal.log` lies; no other process works in it.
        search: what is searched.
        seed: where the draws start.

    Raises:
        MissingExtraError: Optuna is not installed.
        RunError: the journal cannot be read or written.
    """
    optuna = load_optuna()
    said = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            with _in_words(folder):
                study = _open_study(folder / FILE_NAME, search)
            yield Journal(study, search, seed=seed, folder=folder)
    finally:
        optuna.logging.set_verbosity(said)


def _open_study(path: Path, search: SearchSettings) -> Any:  # noqa: ANN401 (Optuna's)
    """Optuna's study over a mended journal."""
    optuna = load_optuna()
    _mend(path)
    lock = optuna.storages.journal.JournalFileOpenLock(str(path))
    backend = optuna.storages.journal.JournalFileBackend(str(path), lock_obj=lock)
    return optuna.create_study(
        study_name="search",
        storage=optuna.storages.JournalStorage(backend),
        direction="maximize" if search.measure == "auc" else "minimize",
        load_if_exists=True,
    )


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """Say in one sentence why a journal cannot be read or written."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{folder / FILE_NAME}: expected to write here, got {error.strerror}. Free some space "
            "and run the same command again."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{folder / FILE_NAME}: expected the journal of a search, got {error!r}. Begin again "
            "with --force."
        ) from error


def _mend(path: Path) -> None:
    """Cut a half line, and a lock, that a killed process left; a line counts once it is whole."""
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def _suggest(trial: Any, key: str, dimension: DimensionSettings) -> Any:  # noqa: ANN401 (Optuna's; any value)
    """Draw one value; choices travel as JSON, since Optuna takes no lists."""
    if dimension.choices is not None:
        return trial.suggest_categorical(key, [json.dumps(one) for one in dimension.choices])
    draw = trial.suggest_int if dimension.is_whole else trial.suggest_float
    return draw(key, dimension.low, dimension.high, log=dimension.log)


def _decoded(params: dict[str, Any]) -> dict[str, Any]:
    """Values as settings have them, by key; text is a choice in JSON."""
    return {
        key: json.loads(value) if isinstance(value, str) else value
        for key, value in sorted(params.items())
    }
