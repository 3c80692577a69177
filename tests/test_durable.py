import errno
import os

import pytest

from neoresponse import durable
from neoresponse.errors import RunError


def test_a_failed_write_leaves_the_old_file_and_names_folder_need_and_space(tmp_path, monkeypatch):
    path = tmp_path / "state.json"
    durable.write_text(path, "old")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"No space left.*3 bytes needed, \d+ bytes free"):
        durable.write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "other/1"}'])
def test_json_of_another_kind_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(RunError, match="Make it again"):
        durable.read_json(path, schema="mine/1")


def test_a_number_that_is_not_finite_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        durable.write_json(tmp_path / "a.json", {"value": float("nan")})


def test_a_lock_lies_beside_its_folder_and_holds_whatever_the_folder_is_called_by(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with (
        durable.only_one(tmp_path / "run"),
        pytest.raises(RunError, match="got one that is writing to it"),
        durable.only_one(tmp_path / "link"),
    ):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".run.lock", "link", "run"]


def test_a_lock_lies_in_a_folder_where_nothing_can_be_written_beside_it(tmp_path, monkeypatch):
    """As where only the folder itself is mounted into a container."""
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with (
        durable.only_one(tmp_path / "out"),
        pytest.raises(RunError, match="got one that is writing to it"),
        durable.only_one(tmp_path / "out"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_only_names_of_our_own_count_as_temporary(tmp_path):
    path = durable.temporary(tmp_path / "chk2")
    assert path.parent == tmp_path
    assert durable.temporary_of(path) == "chk2"
    assert path != durable.temporary(tmp_path / "chk2")
    for name in ("chk2.part", "chk2.old.part", ".chk2.part", "chk2.7.part", ".x.zip.part"):
        assert durable.temporary_of(tmp_path / name) is None
