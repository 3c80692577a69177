"""What every contract is: a frozen record, checked when it is made and when it is read.

A file's JSON has one key more than its record: `schema`, the name and version of the contract.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from neoresponse.durable import read_json, write_json
from neoresponse.errors import RunError

F = TypeVar("F", bound="FileRecord")


class Record(BaseModel):
    """A part of a contract."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class FileRecord(Record):
    """The content of one file."""

    SCHEMA: ClassVar[str]
    """Name and version, such as `neoresponse.split/1`."""
    FILE_NAME: ClassVar[str]
    """How the file is called, in whatever folder it lies."""
    EARLIER: ClassVar[dict[str, str]] = {}
    """Schema of an earlier version that cannot be read -> what to do."""


def write_record(folder: Path, record: FileRecord) -> Path:
    """Write a record into a folder that exists and return the file's path."""
    path = folder / record.FILE_NAME
    write_json(path, content_of(record))
    return path


def content_of(record: FileRecord) -> dict[str, JsonValue]:
    """What the file of a record holds, for JSON."""
    return {"schema": record.SCHEMA, **record.model_dump(mode="json")}


def read_record(folder: Path, kind: type[F]) -> F:
    """Read the record that a folder holds.

    Raises:
        RunError: the file is missing, is no JSON, has another schema, or differs from its contract;
            names the first key that does.
    """
    path = folder / kind.FILE_NAME
    try:
        content = read_json(path, schema=kind.SCHEMA)
    except RunError:
        _refuse_earlier(path, kind)
        raise
    return record_of(content, kind, where=str(path))


def record_of(content: Mapping[str, object], kind: type[F], *, where: str) -> F:
    """Check the parsed JSON of a file.

    Args:
        content: with its key `schema`, which was compared before.
        kind: the record that it must be.
        where: named in an error.

    Raises:
        RunError: it differs from its contract; names the first key that does.
    """
    try:
        return kind.model_validate({k: v for k, v in content.items() if k != "schema"})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RunError(
            f"{where}: expected {key} as {kind.SCHEMA!r} has it ({first['msg']}), got "
            f"{_shown(first['input'])}. Make the file again."
        ) from None


def _refuse_earlier(path: Path, kind: type[FileRecord]) -> None:
    """Say what to do with a file of an earlier version."""
    for schema, advice in kind.EARLIER.items():
        try:
            read_json(path, schema=schema)
        except RunError:
            continue
        raise RunError(
            f"{path}: expected schema {kind.SCHEMA!r}, got {schema!r} of an earlier version. "
            f"{advice}"
        )


def has_record(folder: Path, kind: type[FileRecord]) -> bool:
    """Whether a folder holds a file of this name."""
    return (folder / kind.FILE_NAME).is_file()


def _shown(value: object) -> str:
    """A value of a file, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
