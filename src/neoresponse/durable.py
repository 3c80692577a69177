"""Files that are whole or absent: written under another name, flushed, then renamed.

Folders are made and replaced in `folders.py`.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from neoresponse.errors import NeoresponseError, RunError

CANNOT_WRITE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EBUSY),
    *(errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL),
}
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.neoresponse\.part")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a kill or a full disk leaves the old one or the new one, never half.

    Args:
        path: the file; its folder must exist.
        content: all of it.

    Raises:
        RunError: the disk is full or not writable; names folder, bytes needed and bytes free.
    """
    part = temporary(path)
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise write_error(path.parent, len(content), error) from error


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
            f"{path}: expected this file, got none. Run the step that writes it first."
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
    except FileExistsError:
        raise RunError(f"{path}: expected a folder, found a file. Name another folder.") from None
    except OSError as error:
        raise write_error(path, 0, error) from error


def temporary(path: Path) -> Path:
    """A name beside a file or folder that nobody else uses: what is written gets it until whole."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.neoresponse.part")


def temporary_of(path: Path) -> str | None:
    """Of which file or folder this is the `temporary` name; None where it is a name of another."""
    is_ours = _TEMPORARY.fullmatch(path.name)
    return is_ours["name"] if is_ours else None


@contextmanager
def only_one(folder: Path, *, wait_s: float = 0) -> Iterator[None]:
    """Hold a folder, there or not, for this process; a process that dies lets it go.

    Args:
        folder: what is held. The lock lies beside it as `.NAME.lock`, for the folder itself may be
            renamed; only where nothing can be written beside it, it lies in the folder.
        wait_s: how long to wait for another process that holds it.

    Raises:
        RunError: another process holds it.
    """
    folder = folder.resolve()
    beside = folder.with_name(f".{folder.name}.lock")
    is_in_folder = folder.is_dir() and not os.access(folder.parent, os.W_OK)
    path = folder / ".lock" if is_in_folder else beside
    make_folder(path.parent)
    lock = FileLock(path, timeout=wait_s)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(
            f"{folder}: expected no other process here, got one that is writing to it. "
            "Wait for it to end or name another folder."
        ) from None
    except OSError as error:
        raise write_error(path.parent, 0, error) from error
    try:
        yield
    finally:
        lock.release()


def sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_error(folder: Path, needed_bytes: int, error: OSError) -> NeoresponseError:
    """Say what a failed write needed and what was there."""
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free_bytes = shutil.disk_usage(existing).free
    needed = f"{needed_bytes} bytes needed, " if needed_bytes else ""
    return RunError(
        f"{folder}: expected to write here, got {error.strerror or error!s} "
        f"({needed}{free_bytes} bytes free). Free some space or name another folder."
    )
