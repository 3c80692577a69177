import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from neoresponse import durable, folders
from neoresponse.durable import only_one, temporary
from neoresponse.errors import RunError
from neoresponse.folders import (
    check_output,
    find_older,
    keep_apart,
    new_folder,
    record_folder,
    recorded_files,
    remove_older,
    set_aside,
)

MARK = "flow.json"


def make(path, text="old", **named):
    with new_folder(path, mark=MARK, **named) as part:
        (part / MARK).write_text(text)
        (part / "tables").mkdir()
        (part / "tables" / "a [1].csv").write_text(text)
    return path


def seen(folder):
    """Every file below a folder but locks, with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_folder_appears_only_when_it_is_complete(tmp_path):
    def write_half():
        with new_folder(tmp_path / "out", mark=MARK) as part:
            (part / "half.txt").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert names(tmp_path) == []
    with new_folder(tmp_path / "out", mark=MARK) as part:
        (part / MARK).write_text("whole")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / MARK).read_text() == "whole"


def test_a_replaced_folder_is_kept_under_the_next_free_name_with_its_users_notes(tmp_path):
    make(tmp_path / "out", "first")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "out.replaced-1").write_text("a file of the user")
    make(tmp_path / "out", "second", force=True)
    make(tmp_path / "out", "third", force=True)
    assert names(tmp_path) == ["out", "out.replaced-1", "out.replaced-2", "out.replaced-3"]
    assert (tmp_path / "out.replaced-1").read_text() == "a file of the user"
    assert (tmp_path / "out.replaced-2" / MARK).read_text() == "first"
    assert (tmp_path / "out.replaced-2" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "out.replaced-3" / MARK).read_text() == "second"
    assert (tmp_path / "out" / MARK).read_text() == "third"


def test_a_derived_folder_is_replaced_in_place_unless_somebody_left_a_file_in_it(tmp_path):
    make(tmp_path / "check")
    make(tmp_path / "check", "new", force=True, keep_old=False)
    assert names(tmp_path) == ["check"]
    (tmp_path / "check" / "notes.txt").write_text("mine")
    make(tmp_path / "check", "newer", force=True, keep_old=False)
    assert (tmp_path / "check.replaced-1" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "check" / MARK).read_text() == "newer"


def test_a_folder_with_files_is_not_replaced_unless_forced(tmp_path):
    before = seen(make(tmp_path / "out"))
    with pytest.raises(RunError, match="expected a new folder, found one with files in it"):
        make(tmp_path / "out", "new")
    assert seen(tmp_path / "out") == before
    assert names(tmp_path) == ["out"]


def test_force_moves_only_a_folder_of_the_same_kind(tmp_path):
    """Not a hospital's, not one whose file of that name is not ours, not one of another kind."""
    (tmp_path / "hospital").mkdir()
    (tmp_path / "hospital" / "cohort.toml").write_text("precious")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / MARK).write_text('{"schema": "another program/1"}')
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / MARK).write_text('{"schema": "neoresponse.flow/1"}')
    record_folder(tmp_path / "run", mark="inputs.json", files=())
    before = seen(tmp_path)
    for name in ("hospital", "theirs", "run"):
        with pytest.raises(RunError, match=r"with flow.json in it\), found other files"):
            make(tmp_path / name, force=True)
        with only_one(tmp_path / name), pytest.raises(RunError, match="found other files"):
            set_aside(tmp_path / name, mark=MARK)
    assert seen(tmp_path) == before


def test_a_folder_made_before_there_were_records_is_known_by_its_mark_and_kept(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MARK).write_text('{"schema": "neoresponse.flow/1"}')
    make(tmp_path / "out", "new", force=True, keep_old=False)
    assert "neoresponse.flow/1" in (tmp_path / "out.replaced-1" / MARK).read_text()
    (older,) = find_older([tmp_path / "out"])
    assert older.ours == ()  # nothing says which of its files are ours


def test_a_users_files_named_like_ours_are_never_touched(tmp_path):
    """`chk2.part` was deleted by whoever wrote `chk2`."""
    for name in ("chk2.part", "chk2.old.part", ".chk2.0123abcd.neoresponse.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("mine")
    before = seen(tmp_path)
    make(tmp_path / "chk2")
    make(tmp_path / "chk2", force=True)
    remove_older(find_older([tmp_path / "chk2", tmp_path]))
    assert {name: value for name, value in seen(tmp_path).items() if name in before} == before


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    left = temporary(tmp_path / "out")
    left.mkdir()
    record_folder(left, mark=MARK, files=())
    (left / "half.npy").write_text("half")
    temporary(tmp_path / "out").mkdir()  # killed before it wrote anything
    other = temporary(tmp_path / "another")
    other.mkdir()
    make(tmp_path / "out")
    assert names(tmp_path) == [other.name, "out"]


def test_an_output_through_a_link_replaces_what_the_link_names(tmp_path):
    make(tmp_path / "disk" / "out")
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "out")
    make(tmp_path / "out", "new", force=True)
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "out" / MARK).read_text() == "new"
    assert names(tmp_path / "disk") == ["out", "out.replaced-1"]


def test_a_folder_that_another_process_fills_is_refused(tmp_path):
    make(tmp_path / "out")
    before = seen(tmp_path)
    with only_one(tmp_path / "out"), pytest.raises(RunError, match="got one that is writing to it"):
        make(tmp_path / "out", "new", force=True)
    assert seen(tmp_path) == before


def test_a_folder_is_not_set_aside_while_a_process_works_inside_it(tmp_path):
    run = tmp_path / "study" / "runs" / "net"
    run.mkdir(parents=True)
    record_folder(tmp_path / "study", mark="study.json", files=())
    with only_one(tmp_path / "study"):
        with (
            only_one(run),
            pytest.raises(RunError, match=r"runs/net: .*got one that is writing to it"),
        ):
            set_aside(tmp_path / "study", mark="study.json")
        assert run.is_dir()
        assert set_aside(tmp_path / "study", mark="study.json").name == "study.replaced-1"
        assert set_aside(tmp_path / "study", mark="study.json") is None


class Disk:
    """Fails one operation of all that change the disk, counted from its start."""

    def __init__(self, patch, fails_at):
        self.count, self._fails_at = 0, fails_at
        wanted = ((os, "fsync"), (Path, "replace"), (Path, "mkdir"), (Path, "open"))
        for place, name in wanted:
            patch.setattr(place, name, self._watched(getattr(place, name)))

    def _watched(self, call):
        def run(*args, **named):
            if call.__name__ == "open" and args[1:2] not in (("wb",), ("w",)):
                return call(*args, **named)
            self.count += 1
            if self.count == self._fails_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return call(*args, **named)

        return run


@pytest.mark.parametrize("keep_old", [True, False])
def test_every_write_of_a_replacement_may_fail_and_the_old_folder_stays(tmp_path, keep_old):
    make(tmp_path / "counted" / "out")
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, fails_at=0)
        make(tmp_path / "counted" / "out", "new", force=True, keep_old=keep_old)
    assert disk.count > 10
    for n in range(1, disk.count + 1):
        place = tmp_path / str(n)
        before = seen(make(place / "out"))
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, fails_at=n)
            with pytest.raises(RunError, match="expected to write here, got No space left"):
                make(place / "out", "new", force=True, keep_old=keep_old)
        assert seen(place / "out") == before, n
        assert names(place) == ["out"], n
        make(place / "out", "new", force=True, keep_old=keep_old)
        assert (place / "out" / MARK).read_text() == "new"


def test_a_run_that_cannot_be_renamed_stays(tmp_path):
    make(tmp_path / "run")
    before = seen(tmp_path)
    for n in (1, 2):
        with pytest.MonkeyPatch.context() as patch, only_one(tmp_path / "run"):
            Disk(patch, fails_at=n)
            with pytest.raises(RunError, match="expected to write here, got No space left"):
                set_aside(tmp_path / "run", mark=MARK)
        assert seen(tmp_path) == before


def test_a_folder_under_a_file_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file: expected a folder, found a file"):
        make(tmp_path / "file" / "out")
    with pytest.raises(RunError, match="expected to write here, got Not a directory"):
        make(tmp_path / "file" / "deep" / "out")


@pytest.mark.parametrize("out", [".", "in/out", ".."])
def test_an_output_in_an_input_or_around_it_is_refused(tmp_path, monkeypatch, out):
    (tmp_path / "source").mkdir()
    monkeypatch.chdir(tmp_path / "source")
    with pytest.raises(RunError, match="which is only read"):
        keep_apart(Path(out), tmp_path / "source")


def test_a_file_that_is_read_may_lie_in_an_output_only_where_we_wrote_it(tmp_path):
    make(tmp_path / "out")
    keep_apart(tmp_path / "out", tmp_path / "out" / MARK)
    (tmp_path / "out" / "mine.toml").write_text("")
    with pytest.raises(RunError, match=r"apart from .*mine\.toml, which is only read"):
        check_output(tmp_path / "out", mark=MARK, force=True, inputs=[tmp_path / "out/mine.toml"])


def test_a_record_never_names_a_file_outside_its_folder(tmp_path):
    (tmp_path / "precious.txt").write_text("keep")
    (tmp_path / "out.replaced-1").mkdir()
    (tmp_path / "out.replaced-1" / "link").symlink_to(tmp_path)
    files = ["../precious.txt", "link/precious.txt", "**/*"]
    record_folder(tmp_path / "out.replaced-1", mark=MARK, files=files)
    remove_older(find_older([tmp_path / "out"]))
    assert (tmp_path / "precious.txt").read_text() == "keep"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "neoresponse.folder/1"}'])
def test_a_record_that_cannot_be_read_makes_nothing_ours(tmp_path, content):
    make(tmp_path / "out")
    (tmp_path / "out" / folders.RECORD).write_text(content)
    assert recorded_files(tmp_path / "out") == set()


def test_older_results_are_found_beside_and_inside_and_files_of_others_stay(tmp_path):
    work = tmp_path / "study"
    write_in(work, "study.json")
    for name in ("check", "runs/net"):
        make(work / name)
        make(work / name, force=True)
    (work / "runs" / "net.replaced-1" / "notes.txt").write_text("mine")
    shutil.copytree(work / "check.replaced-1", tmp_path / "study.replaced-1")
    shutil.copytree(work / "check.replaced-1", tmp_path / "study2.replaced-1")
    left = temporary(work / "prepared")
    left.mkdir()
    record_folder(left, mark=MARK, files=())
    before = seen(work / "check")
    older = find_older([work])
    assert [one.folder.relative_to(tmp_path).as_posix() for one in older] == [
        f"study/{left.name}",
        "study/check.replaced-1",
        "study/runs/net.replaced-1",
        "study.replaced-1",
    ]
    assert [path.name for one in older for path in one.others] == ["notes.txt"]
    remove_older(older)
    assert names(tmp_path) == ["study", "study2.replaced-1"]
    assert seen(work / "runs" / "net.replaced-1") == {"notes.txt": b"mine"}
    assert seen(work / "check") == before
    assert names(work) == [".neoresponse.json", "check", "runs", "study.json"]


def write_in(folder, name):
    folder.mkdir()
    (folder / name).write_text("{}")
    record_folder(folder, mark=name, files=[name])


def test_what_a_process_is_still_writing_is_not_taken_for_left_over(tmp_path):
    with new_folder(tmp_path / "out", mark=MARK) as part:
        (part / MARK).write_text("whole")
        assert find_older([tmp_path]) == []
    assert durable.temporary_of(part) == "out"


def test_the_record_is_the_same_whenever_the_content_is(tmp_path):
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    assert seen(one) == seen(two)
    record = json.loads((one / folders.RECORD).read_text())
    assert record["files"] == ["flow.json", "tables/a [[]1].csv"]
