"""Files that are whole or absent: written under another name, flushed, then renamed."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from neoresponse.errors import NeoresponseError, RunError

_PART = ".part"
LOCK = ".lock"
_CANNOT_WRITE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL),
}


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a kill or a full disk leaves the old one or the new one, never half.

    Args:
        path: the file; its folder must exist.
        content: all of it.

    Raises:
        RunError: the disk is full or not writable; names folder, bytes needed and bytes free.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}{_PART}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _write_error(path.parent, len(content), error) from error


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text as `write_bytes` does."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401 (any JSON value)
    """Write JSON with sorted keys as `write_bytes` does; NaN is refused.

    Raises:
        ValueError: a number is not finite.
    """
    write_text(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path, *, schema: str) -> dict[str, Any]:
    """Read a JSON object and check its schema.

    Args:
        path: the file.
        schema: what its key `schema` must say, such as "neoresponse.prepared/1".

    Raises:
        RunError: the file is missing, is no JSON object, or has another schema.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(
            f"{path}: expected this file, found none. Run the step that writes it first."
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunError(
            f"{path}: expected JSON, got {type(error).__name__}. Make it again."
        ) from error
    found = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(content, dict) or found != schema:
        raise RunError(f"{path}: expected schema {schema!r}, got {found!r}. Make it again.")
    return content


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(path: Path) -> None:
    """Make a folder and those above it; one that is there stays as it is.

    Raises:
        RunError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _write_error(path, 0, error) from error


@contextmanager
def new_folder(path: Path, *, mark: str, force: bool = False) -> Iterator[Path]:
    """Fill a folder that appears only when it is complete.

    Args:
        path: the folder to make.
        mark: a file or folder that it will hold; only a folder that holds it is ever replaced.
        force: replace an older folder of the same kind.

    Yields:
        A temporary folder beside `path`; renamed to `path` at the end, removed on an error.

    Raises:
        RunError: the folder cannot be made, or holds files and may not be replaced.
    """
    path = path.absolute()
    part = path.with_name(f"{path.name}{_PART}")
    try:
        refuse_to_replace(path, mark=mark, force=force)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        _replace_folder(part, path)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
            raise _write_error(path.parent, 0, error) from error
        raise


def refuse_to_replace(path: Path, *, mark: str, force: bool) -> None:
    """Stop where something stands that may not be replaced.

    Raises:
        RunError: a file stands there, or a folder with files that `force` may not replace because
            it is off or because the folder lacks the mark.
    """
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: expected a folder, found a file. Name another folder.")
    if not path.exists() or not any(path.iterdir()):
        return
    if not force:
        raise RunError(
            f"{path}: expected a new folder, found one with files in it. "
            "Name another folder or add --force to replace it."
        )
    if not (path / mark).exists():
        raise RunError(
            f"{path}: expected a folder that this command made (with {mark} in it), found other "
            "files. They are not replaced: name another folder."
        )


def keep_apart(out: Path, source: Path) -> None:
    """Stop where an output would lie in an input, or an input in an output.

    Raises:
        RunError: one of the two folders holds the other, or both are the same.
    """
    ours, theirs = out.resolve(), source.resolve()
    if ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
        raise RunError(
            f"{out}: expected a folder apart from {source}, which is only read. "
            "Name another folder."
        )


@contextmanager
def only_one(folder: Path, *, wait_s: float = 0) -> Iterator[None]:
    """Hold a folder for this process; a process that dies lets it go.

    Args:
        folder: it exists.
        wait_s: how long to wait for another process that holds it.

    Raises:
        RunError: another process holds it.
    """
    lock = FileLock(folder / LOCK, timeout=wait_s)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(
            f"{folder}: expected to work here alone, found another process at work. "
            "Wait for it or name another folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _replace_folder(part: Path, path: Path) -> None:
    """Put `part` where `path` is; an old folder steps aside first and goes last."""
    old = path.with_name(f"{path.name}.old{_PART}")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.replace(old)
    part.replace(path)
    _sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_error(folder: Path, needed_bytes: int, error: OSError) -> NeoresponseError:
    """Say what a failed write needed and what was there."""
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free_bytes = shutil.disk_usage(existing).free
    needed = f"{needed_bytes} bytes needed, " if needed_bytes else ""
    return RunError(
        f"{folder}: expected to write here, got {error.strerror or error!s} "
        f"({needed}{free_bytes} bytes free). Free some space or name another folder."
    )
