"""What is drawn depends on the seed and on the trials that were told, and on nothing else."""

import numpy as np
import pytest

from neoresponse.errors import RunError
from neoresponse.search.journal import open_journal
from neoresponse.settings import SearchSettings

SPACE = {
    "train.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "train.augment.num_variants": {"low": 0, "high": 2},
    "train.optimiser": {"choices": ["adam", "adamw"]},
    "model.drop_path": {"low": 0.0, "high": 0.5},
}
BROAD = SearchSettings.model_validate({"trials": 16, "space": SPACE})


def told(folder, num):
    """A search without trainings: as far as Optuna draws from earlier trials, past chance."""
    with open_journal(folder, BROAD, seed=3) as journal:
        while len(journal.trials) < num:
            trial = journal.ask()
            rate = np.log10(trial.values["train.learning_rate"])
            journal.tell([] if trial.number == 5 else [-((rate + 3) ** 2), 0.0])
        return journal.trials


def test_a_search_killed_at_any_line_of_its_journal_draws_what_it_would_have_drawn(
    tmp_path, monkeypatch
):
    (tmp_path / "whole").mkdir()
    whole = told(tmp_path / "whole", BROAD.trials)
    lines = (tmp_path / "whole" / "journal.log").read_bytes().splitlines(keepends=True)
    assert len(lines) > 16 * 6
    for kept in range(0, len(lines), 3):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / "journal.log").write_bytes(b"".join(lines[:kept]))
        assert told(folder, BROAD.trials) == whole, kept


def test_each_seed_draws_something_else(tmp_path):
    with open_journal(tmp_path, BROAD, seed=1) as journal:
        first = journal.ask()
    (tmp_path / "journal.log").unlink()
    with open_journal(tmp_path, BROAD, seed=2) as journal:
        assert journal.ask().values != first.values


def test_a_journal_on_a_full_disk_says_so(tmp_path, monkeypatch):
    from optuna.storages.journal import JournalFileBackend

    def fail(*args):
        raise OSError(28, "No space left on device")

    with open_journal(tmp_path, BROAD, seed=1) as journal:
        monkeypatch.setattr(JournalFileBackend, "append_logs", fail)
        with pytest.raises(RunError, match=r"journal\.log: expected to write here, got No space"):
            journal.ask()


def test_a_damaged_journal_is_refused(tmp_path):
    (tmp_path / "journal.log").write_text('{"op_code": 0}\n{}\n')
    with (
        pytest.raises(RunError, match="expected the journal of a search"),
        open_journal(tmp_path, BROAD, seed=1),
    ):
        pass
