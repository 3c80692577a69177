"""What a person sees on the terminal: progress, findings, what was written, what comes next.

Heavy modules are imported inside functions, as in `cli.py`, so that `--help` answers at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from rich.table import Table

    from neoresponse.cohort.validate import CheckedCohort
    from neoresponse.grid.watch import JobState, Watch
    from neoresponse.settings import SplitSettings

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


@contextmanager
def watching() -> "Iterator[Watch]":
    """A table of running trainings, updated in place on the error stream.

    Without a terminal: one line whenever a training ends.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if not console.is_terminal:
        ended: set[str] = set()

        def tell(states: "Sequence[JobState]", left_s: float | None) -> None:
            now = {job.name for job in states if job.state in ("done", "failed")}
            if now - ended:
                ended.update(now)
                click.echo(_all_in_words(states, left_s), err=True)

        yield tell
        return
    live = Live(console=console, auto_refresh=False, transient=True)

    def show(states: "Sequence[JobState]", left_s: float | None) -> None:
        live.start()
        rows = max(4, console.height - 6)
        live.update(_table(states, left_s, rows=rows), refresh=True)
        if not any(job.state in ("waiting", "training") for job in states):
            live.stop()  # other steps show their own progress

    try:
        yield show
    finally:
        live.stop()


def wrote(path: Path, next_command: str) -> None:
    """Say what was written, and the next command."""
    click.echo(f"Wrote {path}\nNext: {next_command}")


def show_findings(checked: "CheckedCohort") -> None:
    """All findings, the most serious first, then the count."""
    for severity in ("stop", "exclude", "note"):
        for finding in checked.findings:
            if finding.severity == severity:
                click.echo(
                    f"{severity:8} {finding.patient_id or '-'} {finding.where}: {finding.message}"
                )
    click.echo(f"{len(checked.patients)} patients included, {num_left_out(checked)} left out")


def num_left_out(checked: "CheckedCohort") -> int:
    """Rows of the table that are not among the accepted patients."""
    return int(checked.num_rows) - len(checked.patients)


def show_split(folder: Path, settings: "SplitSettings | None" = None) -> None:
    """Patients per part, training samples, and whether a preset's sizes were not used."""
    from neoresponse.cohort.split import unused_preset
    from neoresponse.contracts.record import read_record
    from neoresponse.contracts.split import SplitSummary

    summary = read_record(folder, SplitSummary)
    for name in ("train", "validation", "TC1", "TC2"):
        count = summary.counts[name]
        num_residual = count.num_patients - count.num_pcr
        click.echo(
            f"{name}: {count.num_patients} patients, {count.num_pcr} pCR, {num_residual} residual"
        )
    num_divided = sum(summary.counts[name].num_patients for name in ("train", "validation", "TC1"))
    unused = None if settings is None else unused_preset(num_divided, settings)
    if unused:
        click.echo(unused)
    samples = summary.samples
    click.echo(
        f"training samples: {samples.balanced} after balancing, {samples.augmented} after "
        f"augmentation, {samples.with_ultrasound_versions:,} with all ultrasound versions"
    )


def show_study(folder: Path, settings: "SplitSettings | None" = None) -> None:
    """What a finished study says at its end: the split, the patients left out or seen before."""
    from neoresponse.contracts.metrics import Metrics
    from neoresponse.contracts.record import read_record

    show_split(folder / "split", settings)
    show_left_out(folder / "check")
    for path in sorted(folder.glob("external/*/evaluation")):
        for sentence in read_record(path, Metrics).training_patients:
            click.echo(f"external cohort {sentence}")


def show_left_out(folder: Path) -> None:
    """How many rows of the patient table were left out, and a line for each reason."""
    from neoresponse.contracts.flow import Flow
    from neoresponse.contracts.record import read_record

    flow = read_record(folder, Flow)
    click.echo(f"{flow.num_excluded} of {flow.num_rows} patients left out")
    for reason in flow.reasons:
        click.echo(f"  {reason.num_patients}: {reason.reason}")


def has_grave_findings(checked: "CheckedCohort") -> bool:
    """Whether anything stops the cohort or leaves a patient out."""
    return any(finding.severity != "note" for finding in checked.findings)


def _table(states: "Sequence[JobState]", left_s: float | None, *, rows: int) -> "Table":
    """All trainings, those that matter now first where there is no room for all."""
    from rich.table import Table

    table = Table(title=_all_in_words(states, left_s), title_justify="left", box=None)
    for name in ("training", "state", "epoch", "best on validation", "time left"):
        table.add_column(name, justify="left" if name in ("training", "state") else "right")
    ranks = {"failed": 0, "training": 1, "waiting": 2, "done": 3}
    shown = sorted(states, key=lambda job: ranks[job.state])[:rows]
    for job in (job for job in states if job in shown):
        epoch = f"{job.epoch}/{job.num_epochs}" if job.num_epochs and job.epoch else ""
        best = "" if job.best is None else f"{job.measure} {job.best:.3f}"
        left = "" if job.state != "training" else say_seconds(job.left_s)
        style = {"failed": "red", "done": "green", "waiting": "dim"}.get(job.state, "")
        table.add_row(job.name, job.state, epoch, best, left, style=style)
    if len(states) > rows:
        table.add_row(f"and {len(states) - rows} more", style="dim")
    return table


def _all_in_words(states: "Sequence[JobState]", left_s: float | None) -> str:
    """How many are done, and how long it may take."""
    num_done = sum(job.state == "done" for job in states)
    failed = sum(job.state == "failed" for job in states)
    text = f"{num_done} of {len(states)} trainings done"
    text += f", {failed} failed" if failed else ""
    return text if left_s is None else f"{text}, about {say_seconds(left_s)} left"


def say_seconds(seconds: float | None) -> str:
    """The time left, in the unit that reads best."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
