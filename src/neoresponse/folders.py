"""Folders that verbs write: new or whole, never in place of what somebody else put there.

A folder holds a record of what we wrote into it, `.neoresponse.json`. A result is filled under
another name beside the old one and takes its place by a rename; the old one stays as
`NAME.replaced-1` until `neoresponse clean` removes it. Only a folder with our record, or with a
file that only we write, is ever moved; only files that a record names are ever removed.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from glob import escape
from itertools import count
from pathlib import Path

from neoresponse.durable import (
    CANNOT_WRITE,
    only_one,
    read_json,
    sync_folder,
    temporary,
    temporary_of,
    write_error,
    write_json,
)
from neoresponse.errors import RunError

RECORD, SCHEMA = ".neoresponse.json", "neoresponse.folder/1"
_REPLACED = re.compile(r".+\.replaced-[1-9][0-9]*")


@dataclass(frozen=True)
class _Record:
    """What we wrote down of a folder: its kind, and patterns of the files that we write."""

    mark: str
    files: tuple[str, ...]


def check_output(
    out: Path, *, mark: str, force: bool = False, inputs: Iterable[Path | None] = ()
) -> None:
    """Stop, before any work, where a folder may not be written.

    Args:
        out: the folder.
        mark: a file that a folder of this kind holds and that nobody but us writes.
        force: an older folder of the same kind may be there.
        inputs: what is read; none of it may lie in `out`, and `out` in none of it.

    Raises:
        RunError: it lies in an input or around one, is a file, or holds files and may not be
            replaced.
    """
    for source in inputs:
        if source is not None:
            keep_apart(out, source)
    if out.exists() and not out.is_dir():
        raise RunError(f"{out}: expected a folder, found a file. Name another folder.")
    if not _is_used(out):
        return
    if not force:
        raise RunError(
            f"{out}: expected a new folder, found one with files in it. "
            "Name another folder or add --force to replace it."
        )
    if not _is_ours(out, mark):
        raise RunError(
            f"{out}: expected a folder that this command made (with {mark} in it), found other "
            "files. They are not replaced: name another folder."
        )


def keep_apart(out: Path, source: Path) -> None:
    """Stop where an output would lie in an input, or an input in an output.

    A file that we wrote ourselves, such as the resolved settings of a run, may lie in its output.

    Raises:
        RunError: one of the two holds the other, or both are the same.
    """
    ours, theirs = out.resolve(), source.resolve()
    is_around = theirs.is_relative_to(ours) and theirs not in recorded_files(ours)
    if is_around or ours.is_relative_to(theirs):
        raise RunError(
            f"{out}: expected a folder apart from {source}, which is only read. "
            "Name another folder."
        )


@contextmanager
def new_folder(
    path: Path, *, mark: str, force: bool = False, keep_old: bool = True
) -> Iterator[Path]:
    """Fill a folder that appears only when it is complete.

    Args:
        path: the folder to make.
        mark: as of `check_output`.
        force: replace an older folder of the same kind.
        keep_old: keep the older one as `NAME.replaced-1`. Where off, it is removed if it holds
            nothing but what we wrote.

    Yields:
        A temporary folder beside `path`; renamed to `path` at the end, removed on an error.

    Raises:
        RunError: the folder cannot be made, holds files and may not be replaced, or another process
            makes it.
    """
    path = path.resolve()
    with only_one(path):
        check_output(path, mark=mark, force=force)
        for stale in temporary_folders(path):
            shutil.rmtree(stale, ignore_errors=True)
        part = temporary(path)
        try:
            part.mkdir()
            record_folder(part, mark=mark, files=())
            yield part
            files = {escape(p.relative_to(part).as_posix()) for p in _walk(part)} - {RECORD}
            record_folder(part, mark=mark, files=files)
            _put_in_place(part, path, keep_old=keep_old)
        except BaseException as error:
            shutil.rmtree(part, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
                raise write_error(path.parent, 0, error) from error
            raise


def set_aside(folder: Path, *, mark: str) -> Path | None:
    """Keep a folder that grows (a run, a search, a study) under another name, to begin anew.

    Args:
        folder: this process holds it by `only_one`.
        mark: as of `check_output`.

    Returns:
        Its new name, or None where nothing was there.

    Raises:
        RunError: it is not ours, cannot be renamed, or another process works inside it.
    """
    folder = folder.resolve()
    check_output(folder, mark=mark, force=True)
    if not _is_used(folder):
        return None
    aside = _free_name(folder)
    with ExitStack() as held:
        for lock in filter(_is_lock, list(_walk(folder))):
            held.enter_context(only_one(lock.with_name(lock.name[1 : -len(".lock")])))
        try:
            folder.replace(aside)
            sync_folder(folder.parent)
        except OSError as error:
            if not folder.exists():
                aside.replace(folder)
            raise write_error(folder.parent, 0, error) from error
    return aside


def record_folder(folder: Path, *, mark: str, files: Iterable[str]) -> None:
    """Write down what in a folder is ours.

    Args:
        folder: it exists.
        mark: what kind of folder it is.
        files: patterns of the files that we write, relative to the folder.
    """
    write_json(folder / RECORD, {"schema": SCHEMA, "mark": mark, "files": sorted(files)})


@dataclass(frozen=True)
class Older:
    """An older result that was set aside, or what a killed process left half written.

    Attributes:
        folder: where it lies.
        ours: its files that we wrote.
        others: its other files, which nobody but its user removes.
        num_bytes: size of ours.
    """

    folder: Path
    ours: tuple[Path, ...]
    others: tuple[Path, ...]
    num_bytes: int


def find_older(folders: Iterable[Path], *, kept: Iterable[Path] = ()) -> list[Older]:
    """Older results beside and inside folders, or these folders themselves.

    Args:
        folders: where to look.
        kept: further folders of ours to remove, whatever their names.

    Raises:
        RunError: a folder is not there, and nothing that once stood in its place.
    """
    found = {folder.resolve() for folder in kept}
    for folder in folders:
        older = set(_older(folder.resolve()))
        if not older and not folder.is_dir():
            raise RunError(f"{folder}: expected a folder, got none. Check the name.")
        found |= older
    return [_listed(one) for one in sorted(found) if not found & set(one.parents)]


def remove_older(older: Iterable[Older]) -> None:
    """Remove what is ours, and folders that are then empty.

    Raises:
        RunError: a file cannot be removed.
    """
    for one in older:
        try:
            for path in one.ours:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(
                f"{error.filename}: expected to remove this file, got {error.strerror}. Correct "
                "the permissions and run the same command again."
            ) from error
        for place, _, _ in os.walk(one.folder, topdown=False):
            if not any(Path(place).iterdir()):
                Path(place).rmdir()


def recorded_files(folder: Path) -> set[Path]:
    """All files in a folder that the records in it, and in folders inside it, name as ours."""
    inside = set(_walk(folder))
    ours = {path for path in inside if temporary_of(path) or _is_lock(path)}
    for path in inside:
        record = _record(path.parent) if path.name == RECORD else None
        if record is not None:
            named = {p for pattern in record.files for p in path.parent.glob(pattern)}
            ours |= (named & inside) | {path}
    return ours


def other_files(folder: Path) -> list[Path]:
    """All files in a folder that no record names: notes of its user, or of an older version."""
    return sorted(set(_walk(folder)) - recorded_files(folder))


def temporary_folders(path: Path) -> list[Path]:
    """What killed processes left of a folder that they filled; the caller holds it."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    return [
        one
        for one in beside
        if temporary_of(one) == path.name
        and one.is_dir()
        and (_record(one) is not None or not any(one.iterdir()))
    ]


def is_set_aside(folder: Path) -> bool:
    """Whether a folder is named as an older result, or as one that is not whole."""
    return bool(_REPLACED.fullmatch(folder.name)) or temporary_of(folder) is not None


def _older(folder: Path) -> Iterator[Path]:
    """Every folder beside or inside one that was set aside or left half written."""
    if _is_older(folder):
        yield folder
        return
    beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
    starts = f"{folder.name}.replaced-"
    yield from (one for one in beside if one.name.startswith(starts) and _is_older(one))
    yield from _stale(folder)
    for place, names, _ in os.walk(folder):
        for target in {temporary_of(Path(place, name)) for name in names} - {None}:
            yield from _stale(Path(place, str(target)))
        yield from (Path(place, name) for name in names if _is_older(Path(place, name)))
        names[:] = [name for name in names if not is_set_aside(Path(place, name))]


def _is_older(folder: Path) -> bool:
    """Whether a folder is named as one that was set aside; what in it is ours, its records say."""
    is_named_so = _REPLACED.fullmatch(folder.name) is not None
    return is_named_so and folder.is_dir() and not folder.is_symlink()


def _stale(folder: Path) -> list[Path]:
    """What killed processes left half written of a folder; nothing while it is being made."""
    left = temporary_folders(folder)
    try:
        with only_one(folder) if left else nullcontext():
            return left
    except RunError:
        return []


def _listed(folder: Path) -> Older:
    """An older folder with its files; of one half written, all are ours."""
    inside = set(_walk(folder))
    ours = inside if temporary_of(folder) else recorded_files(folder)
    num_bytes = sum(path.lstat().st_size for path in ours)
    return Older(folder, tuple(sorted(ours)), tuple(sorted(inside - ours)), num_bytes)


def _is_used(folder: Path) -> bool:
    """Whether a folder holds more than what a process leaves that is killed at its first write."""
    return folder.is_dir() and any(
        not temporary_of(path) and not _is_lock(path) for path in folder.iterdir()
    )


def _is_ours(folder: Path, mark: str) -> bool:
    """Whether we made a folder of this kind.

    The record says so; of a folder made before there were records, its mark names us.
    """
    record = _record(folder)
    if record is not None:
        return record.mark == mark
    try:
        return b"neoresponse" in (folder / mark).read_bytes()
    except OSError:
        return False


def _record(folder: Path) -> _Record | None:
    """What we wrote down of a folder, or None where nothing of ours can be read."""
    try:
        content = read_json(folder / RECORD, schema=SCHEMA)
        return _Record(str(content["mark"]), tuple(map(str, content["files"])))
    except (RunError, KeyError, TypeError):
        return None


def _put_in_place(part: Path, path: Path, *, keep_old: bool) -> None:
    """Rename `part` to `path`; an old folder steps aside first, and comes back if that fails."""
    old = None
    if path.exists():
        is_kept = _is_used(path) and (keep_old or bool(other_files(path)))
        old = _free_name(path) if is_kept else temporary(path)
        path.replace(old)
    try:
        part.replace(path)
        sync_folder(path.parent)
    except BaseException:
        if path.exists():
            path.replace(part)
        if old is not None:
            old.replace(path)
        raise
    if old is not None and temporary_of(old):
        shutil.rmtree(old, ignore_errors=True)


def first_free(paths: Iterable[Path]) -> Path:
    """The first of some paths that nothing lies at."""
    return next(path for path in paths if not os.path.lexists(path))


def _free_name(path: Path) -> Path:
    """The first `NAME.replaced-1`, `-2` and so on that is free."""
    return first_free(path.with_name(f"{path.name}.replaced-{number}") for number in count(1))


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder; a link to a folder is a file here and is not followed."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in files)
        yield from (Path(place, n) for n in folders if Path(place, n).is_symlink())


def _is_lock(path: Path) -> bool:
    """Whether a file is a lock of `only_one`; it is empty."""
    name = path.name
    is_named_so = name.startswith(".") and name.endswith(".lock")
    return is_named_so and path.is_file() and not path.stat().st_size
