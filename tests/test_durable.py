import errno
import os
from pathlib import Path

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


def test_a_folder_appears_only_when_it_is_complete(tmp_path):
    def write_half():
        with durable.new_folder(tmp_path / "out", mark="whole.txt") as part:
            (part / "half.txt").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert list(tmp_path.iterdir()) == []
    with durable.new_folder(tmp_path / "out", mark="whole.txt") as part:
        (part / "whole.txt").write_text("whole")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "whole.txt").read_text() == "whole"


def test_a_folder_with_files_is_not_replaced_unless_forced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("keep")
    with (
        pytest.raises(RunError, match="expected a new folder, found one with files in it"),
        durable.new_folder(tmp_path / "out", mark="whole.txt"),
    ):
        pass
    assert (tmp_path / "out" / "precious.txt").exists()
    with durable.new_folder(tmp_path / "out", mark="precious.txt", force=True) as part:
        (part / "new.txt").write_text("new")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new.txt"]


def test_a_failed_replacement_leaves_the_old_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    with (
        pytest.raises(ZeroDivisionError),
        durable.new_folder(tmp_path / "out", mark="old.txt", force=True),
    ):
        raise ZeroDivisionError
    assert (tmp_path / "out" / "old.txt").read_text() == "old"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "other/1"}'])
def test_json_of_another_kind_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(RunError, match="Make it again"):
        durable.read_json(path, schema="mine/1")


def test_a_number_that_is_not_finite_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        durable.write_json(tmp_path / "a.json", {"value": float("nan")})


def test_force_replaces_only_a_folder_of_the_same_kind(tmp_path):
    (tmp_path / "hospital").mkdir()
    (tmp_path / "hospital" / "cohort.toml").write_text("precious")
    with (
        pytest.raises(RunError, match=r"with flow.json in it\), found other files"),
        durable.new_folder(tmp_path / "hospital", mark="flow.json", force=True),
    ):
        pass
    assert (tmp_path / "hospital" / "cohort.toml").read_text() == "precious"


def test_a_folder_under_a_file_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunError, match="expected to write here, got Not a directory"),
        durable.new_folder(tmp_path / "file" / "out", mark="a"),
    ):
        pass


@pytest.mark.parametrize("out", [".", "in/out", ".."])
def test_an_output_in_an_input_is_refused(tmp_path, monkeypatch, out):
    (tmp_path / "source").mkdir()
    monkeypatch.chdir(tmp_path / "source")
    with pytest.raises(RunError, match="which is only read"):
        durable.keep_apart(Path(out), tmp_path / "source")
