"""Writes three pages of docs/reference/ from the code: configuration, cli, contracts.

    python docs/make_reference.py

It also writes a JSON Schema per contract to docs/reference/schemas/. Tests compare all of it with
what this would write.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import click
from pydantic import JsonValue

import neoresponse.contracts
from neoresponse.cli import main as command_line
from neoresponse.contracts.record import FileRecord, Record
from neoresponse.settings import (
    ComputeSettings,
    CrossValidationSettings,
    RunSettings,
    Settings,
    StudySettings,
)

PAGES = Path(__file__).resolve().parent / "reference"
SCHEMAS = PAGES / "schemas"
PLAIN = {str: "text", int: "integer", float: "number", bool: "true or false", NoneType: "null"}


def configuration() -> str:
    """Every settings field with its default and its sentence."""
    lines = [
        "# Configuration",
        "",
        "A run is one TOML file and one seed. Every key has a default, the protocol of Guo et al.",
        "2024 except for its split sizes. `configs/guo2024.toml` spells that protocol out,",
        "`configs/modern.toml` is a modern recipe, `configs/demo.toml` the demo. A key that is not",
        "listed here is refused before any work starts. On the command line, `--config FILE` or",
        "`--config guo2024` names the file and `--set train.epochs=20` changes one key. In a file,",
        '`base = "guo2024"` starts from another file: a preset\'s split sizes apply to a cohort of',
        "exactly that many patients, and if you change its `epochs`, its kept epochs and its",
        "warm-up scale with them.",
        "",
        *_section(RunSettings, ""),
        "## study file",
        "",
        "A study file (`neoresponse study STUDY.toml OUT`) may contain all of the above, and:",
        "",
        *_rows(StudySettings, skip=set(RunSettings.model_fields)),
        "",
        "`[runs.NAME]` lists what differs from `[model]`, `[runs.NAME.train]` what differs from",
        "`[train]`. All runs share split and store, so that their numbers are comparable.",
        "",
        *_section(CrossValidationSettings, "cross_validation"),
        *_section(ComputeSettings, "compute"),
    ]
    return "\n".join(lines)


def cli() -> str:
    """Every verb with its help."""
    lines = [
        "# Command line",
        "",
        "Exit codes: 0 success, 1 an error or findings, 2 wrong usage, 130 or 143 a training that",
        "Ctrl-C or SIGTERM stopped with its state saved. A verb reads folders and writes a new",
        "one; it replaces an existing one only with `--force`, and keeps the old one beside it.",
        "Progress goes to the error stream.",
        "",
    ]
    settings = command_line.context_settings
    parent = click.Context(command_line, info_name="neoresponse", **settings)
    for name, command in command_line.commands.items():
        with click.Context(command, parent=parent, info_name=name) as context:
            text = command.get_help(context)
        lines += [f"## {name}", "", "```text", re.sub(r"[ \t]+\n", "\n", text), "```", ""]
    return "\n".join(lines)


def contracts() -> str:
    """Every JSON file that one part writes and another reads, field by field."""
    lines = [
        "# Contracts",
        "",
        "Every JSON file that one part of the software writes and another reads, field by field.",
        "Each file also has the key `schema`, its name and version. A file with an unknown key, a",
        "missing key or a wrong type is refused, and the message names the key. The tables in CSV",
        "are described on the pages of the [study folder](study-folder.md), the",
        "[run folder](run-folder.md) and [predictions](predictions-and-metrics.md), the lines of",
        "`test-openings.jsonl` under",
        "[find leaks](../how-to/find-leaks.md#the-ledger-of-test-evaluations).",
        "",
        "| file | schema | JSON Schema |",
        "|---|---|---|",
    ]
    kinds = file_records()
    for kind in kinds:
        heading = f"{kind.FILE_NAME}, {kind.SCHEMA}"
        anchor = re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")
        name = schema_name(kind)
        lines.append(
            f"| [`{kind.FILE_NAME}`](#{anchor}) | `{kind.SCHEMA}` | [{name}](schemas/{name}) |"
        )
    for kind in kinds:
        lines += ["", f"## {kind.FILE_NAME}, {kind.SCHEMA}", "", *_record(kind)]
    lines += ["", "## Records inside the files"]
    for kind in sorted(set(_inside(*kinds)) - set(kinds), key=lambda kind: kind.__name__):
        lines += ["", f"### {kind.__name__}", "", *_record(kind)]
    return "\n".join([*lines, ""])


def schemas() -> dict[str, str]:
    """File name -> JSON Schema of a contract, as text."""
    return {schema_name(kind): _json_schema(kind) for kind in file_records()}


def file_records() -> list[type[FileRecord]]:
    """Every contract that is a JSON file, by file name."""
    package = neoresponse.contracts
    modules = [
        import_module(f"{package.__name__}.{info.name}") for info in iter_modules(package.__path__)
    ]
    kinds = {
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, FileRecord) and "SCHEMA" in vars(kind)
    }
    return sorted(kinds, key=lambda kind: (kind.FILE_NAME, kind.SCHEMA))


def schema_name(kind: type[FileRecord]) -> str:
    """File name of a contract's JSON Schema, such as `split-1.json`."""
    return kind.SCHEMA.removeprefix("neoresponse.").replace("/", "-") + ".json"


def _json_schema(kind: type[FileRecord]) -> str:
    """What a file of this kind must look like, its key `schema` included."""
    content: dict[str, Any] = kind.model_json_schema()
    content["properties"] = {"schema": {"const": kind.SCHEMA}, **content["properties"]}
    content["required"] = ["schema", *content.get("required", [])]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _record(kind: type) -> list[str]:
    """A record's sentence and its table of fields."""
    lines = [
        (kind.__doc__ or "").strip().split("\n")[0],
        "",
        "| key | type | meaning |",
        "|---|---|---|",
    ]
    return lines + [
        f"| `{name}` | {_type_name(annotation)} | {meaning} |".replace("|  |", "| |")
        for name, annotation, meaning in _fields(kind)
    ]


def _fields(kind: type) -> list[tuple[str, Any, str]]:
    """Name, type and meaning of each field of a record."""
    if issubclass(kind, Record):
        described = kind.model_fields.items()
        return [
            (
                name,
                field.annotation,
                " ".join((field.description or "").replace("None", "null").split()),
            )
            for name, field in described
        ]
    text = (kind.__doc__ or "").replace("None", "null")  # JSON's word
    meanings = dict(re.findall(r"^ {8}(\w+): (.+)$", text, re.MULTILINE))
    return [(field.name, field.type, meanings.get(field.name, "")) for field in fields(kind)]


def _inside(*annotations: Any) -> Iterator[type]:
    """Every record that annotations name, and those inside it."""
    for annotation in annotations:
        if isinstance(annotation, type) and (
            is_dataclass(annotation) or issubclass(annotation, Record)
        ):
            yield annotation
            yield from _inside(*(kind for _, kind, _ in _fields(annotation)))
        yield from _inside(*get_args(annotation))


def _type_name(annotation: Any) -> str:
    """A type in words; a record is a link to its table."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if annotation == JsonValue:
        return "any JSON"
    if origin in (Union, UnionType):
        return " or ".join(_type_name(kind) for kind in inside)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inside)
    if origin is dict:
        return f"object: {_type_name(inside[0])} → {_type_name(inside[1])}"
    if origin is tuple and inside[-1] is Ellipsis:
        return f"list of {_type_name(inside[0])}"
    if origin is tuple:
        return f"[{', '.join(_type_name(kind) for kind in inside)}]"
    if annotation in PLAIN:
        return PLAIN[annotation]
    return _class_name(annotation)


def _class_name(kind: type) -> str:
    """A class as values or as a link."""
    if issubclass(kind, Enum):
        return " or ".join(f"`{member.value}`" for member in kind)
    if issubclass(kind, Settings):
        return "[settings](configuration.md)"
    return f"[{kind.__name__}](#{kind.__name__.lower()})"


def _section(kind: type[Settings], title: str) -> list[str]:
    """One section and those under it."""
    heading = [f"## [{title}]", "", (kind.__doc__ or "").strip(), ""] if title else []
    lines = [*heading, *_rows(kind, skip=set()), ""]
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            lines += _section(field.annotation, f"{title}.{name}" if title else name)
    return lines


def _rows(kind: type[Settings], skip: set[str]) -> list[str]:
    """A table of plain fields."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in kind.model_fields.items():
        is_section = isinstance(field.annotation, type) and issubclass(field.annotation, Settings)
        if is_section or name in skip:
            continue
        if field.is_required():
            default = "required"
        else:
            default = f"`{field.get_default(call_default_factory=True)!r}`"
        rows.append(f"| `{name}` | {default} | {field.description} |")
    return rows


if __name__ == "__main__":
    (PAGES / "configuration.md").write_text(configuration(), encoding="utf-8")
    (PAGES / "cli.md").write_text(cli(), encoding="utf-8")
    (PAGES / "contracts.md").write_text(contracts(), encoding="utf-8")
    SCHEMAS.mkdir(exist_ok=True)
    for stale in {path.name for path in SCHEMAS.glob("*.json")} - schemas().keys():
        (SCHEMAS / stale).unlink()
    for name, text in schemas().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")
