"""What a person sees on the terminal: progress, findings, what was written, what comes next.

Heavy modules are imported inside functions, as in `cli.py`, so that `--help` answers at once.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from neoresponse.cohort.validate import CheckedCohort

T = TypeVar("T")


def track(items: Iterable[T], *, name: str, total: int | None = None) -> Iterator[T]:
    """A progress bar with time left, on the error stream."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    is_hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as progress:
        yield from progress.track(items, description=name, total=total)


def wrote(path: Path, next_command: str) -> None:
    """Say what was written, and what comes next."""
    click.echo(f"Wrote {path}\nNext: {next_command}")


def clear(folder: Path, mark: str, *, force: bool) -> None:
    """Remove an old study where asked; refuse a folder that holds something else."""
    import shutil

    from neoresponse.errors import RunError

    # A process killed at its very first write leaves nothing but a part of the mark.
    others = [p for p in folder.glob("*") if not p.name.endswith(".part")]
    if others and not (folder / mark).exists():
        raise RunError(
            f"{folder}: expected a new folder or one with a study in it, found other files. "
            "Name another folder."
        )
    if force and folder.exists():
        # Renamed first: a kill in the middle of removing leaves nothing half under the old name.
        old = folder.absolute().with_name(f"{folder.absolute().name}.old.part")
        shutil.rmtree(old, ignore_errors=True)
        folder.replace(old)
        shutil.rmtree(old, ignore_errors=True)


def show_findings(checked: "CheckedCohort") -> None:
    """All findings, the gravest first, then the count."""
    for severity in ("stop", "exclude", "note"):
        for finding in checked.findings:
            if finding.severity == severity:
                click.echo(
                    f"{severity:8} {finding.patient_id or '-'} {finding.where}: {finding.message}"
                )
    click.echo(f"{len(checked.patients)} patients pass, {num_left_out(checked)} left out")


def num_left_out(checked: "CheckedCohort") -> int:
    """Rows of the table that are not among the accepted patients."""
    return int(checked.num_rows) - len(checked.patients)


def show_split(folder: Path) -> None:
    """Patients per part, and training samples."""
    from neoresponse.durable import read_json

    content = read_json(folder / "split.json", schema="neoresponse.split/1")
    for name in ("train", "validation", "TC1", "TC2"):
        count = content["counts"][name]
        num_residual = count["num_patients"] - count["num_pcr"]
        click.echo(f"{name} {count['num_patients']} ({count['num_pcr']}/{num_residual})")
    samples = content["samples"]
    click.echo(
        f"training samples: {samples['balanced']} balanced, {samples['augmented']} augmented, "
        f"{samples['with_ultrasound_versions']:,} with ultrasound versions"
    )


def has_grave_findings(checked: "CheckedCohort") -> bool:
    """Whether anything stops the cohort or leaves a patient out."""
    return any(finding.severity != "note" for finding in checked.findings)
