"""Writes docs/reference/configuration.md and docs/reference/cli.md from the code's own words.

    python docs/make_reference.py

A test compares the pages with what this would write.
"""

import re
from pathlib import Path

import click

from neoresponse.cli import main as command_line
from neoresponse.settings import (
    ComputeSettings,
    CrossValidationSettings,
    RunSettings,
    Settings,
    StudySettings,
)

PAGES = Path(__file__).resolve().parent / "reference"


def configuration() -> str:
    """Every settings field with its default and its sentence."""
    lines = [
        "# Configuration",
        "",
        "A run is one TOML file and one seed. Every key has a default: the protocol of Guo et al.",
        "2024 but for the named split sizes. `configs/guo2024.toml` spells that protocol out,",
        "`configs/modern.toml` is a present-day recipe, `configs/demo.toml` the demo. A key that",
        "is not listed here is refused before any work starts. On the command line,",
        "`--config FILE` or `--config guo2024` names the file and",
        '`--set train.epochs=20` changes one key. In a file, `base = "guo2024"` starts from',
        "another one: a preset's split sizes apply to a cohort of exactly that many patients, and",
        "where you change its `epochs`, its kept epochs and its warm-up keep their share of them.",
        "",
        *_section(RunSettings, ""),
        "## study file",
        "",
        "A study file (`neoresponse study STUDY.toml OUT`) may hold all of the above, and:",
        "",
        *_rows(StudySettings, skip=set(RunSettings.model_fields)),
        "",
        "`[runs.NAME]` holds what differs from `[model]`; `[runs.NAME.train]` what differs from",
        "`[train]`. All runs share split and store, so that their numbers can be compared.",
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
        "Exit codes: 0 fine, 1 an error or findings, 2 wrong usage; 130 and 143 where Ctrl-C or",
        "SIGTERM stopped a training, whose state is then saved. A verb reads folders and writes a",
        "new one; it replaces an old one only with `--force`, and keeps the old one beside it.",
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
