"""Which steps of a study are done: kept in one file, so that no step is done twice.

Each step has a key: a hash of its settings and of what it reads. A step whose key is recorded and
whose files are all as it left them is kept; all others are done again. A result that comes out the
same as before therefore redoes nothing behind it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import neoresponse
from neoresponse.durable import read_json, sha256_of, write_json
from neoresponse.errors import CohortError, RunError
from neoresponse.types import Say, silent

SCHEMA, FILE_NAME = "neoresponse.study/1", "study.json"
COHORT_SCHEMA, COHORT_NAME = "neoresponse.cohort-files/1", "cohort-files.json"
Stamps = dict[str, list[Any]]
"""File name -> size in bytes, time of change in ns, SHA-256."""


@dataclass(frozen=True)
class Step:
    """A step of a study.

    Attributes:
        name: its name in the ledger.
        inputs: settings and hashes of what it reads: any JSON value.
        folder: the folder it writes to.
        files: patterns of the files in the folder that it makes.
    """

    name: str
    inputs: Any
    folder: Path
    files: tuple[str, ...] = ("**/*",)

    @property
    def key(self) -> str:
        """One hash over software, name and inputs."""
        text = json.dumps([neoresponse.__version__, self.name, self.inputs], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Ledger:
    """The steps of one study folder."""

    def __init__(self, folder: Path, say: Say = silent) -> None:
        """Read which steps are done; without a readable ledger none is, and one is begun.

        Args:
            folder: the study folder; it exists and no other process works in it.
            say: gets one line per step.
        """
        self.folder, self._say = folder, say
        self._steps: dict[str, Any] = {}
        try:
            self._steps = read_json(folder / FILE_NAME, schema=SCHEMA)["steps"]
        except RunError:
            self._write()

    def step(
        self,
        name: str,
        inputs: Any,  # noqa: ANN401 (any JSON value)
        folder: Path,
        make: Callable[[], object],
        *,
        files: tuple[str, ...] = ("**/*",),
    ) -> str:
        """Do a step if it is due: its inputs changed, or a file that it made did.

        Args:
            name: its name in the ledger.
            inputs: settings and hashes of what it reads.
            folder: the folder it writes to.
            make: does the step.
            files: patterns of the files in the folder that it makes.

        Returns:
            One hash over the content of all these files.
        """
        step = Step(name, inputs, folder, files)
        kept = self.kept(step)
        if kept is not None:
            return kept
        make()
        return self.done(step)

    def kept(self, step: "Step") -> str | None:
        """The hash of what a step made, or None where it is due."""
        known = self._steps.get(step.name, {"key": "", "files": {}})
        made = _stamps(step.folder, step.files, known=known["files"])
        if known["key"] != step.key or not made or _content(made) != _content(known["files"]):
            return None
        self._record(step, made, "kept")
        return _content(made)

    def done(self, step: "Step") -> str:
        """Write down that a step was done just now; the hash of what it made."""
        made = _stamps(step.folder, step.files, known={})
        self._record(step, made, "wrote")
        return _content(made)

    def _record(self, step: "Step", made: Stamps, word: str) -> None:
        """Say it, and put it into the ledger."""
        self._say(f"{step.name}: {word} {step.folder.relative_to(self.folder)}")
        self._steps[step.name] = {"key": step.key, "files": made}
        self._write()

    def _write(self) -> None:
        """Put the ledger on disk."""
        write_json(self.folder / FILE_NAME, {"schema": SCHEMA, "steps": self._steps})


def fingerprint(cohort: Path, study: Path) -> str:
    """One hash over every file of a cohort folder; the record of it names no file.

    Args:
        cohort: the cohort folder.
        study: the study folder, where sizes and times of change are kept for the next time.

    Raises:
        CohortError: a file cannot be read.
    """
    try:
        hidden = read_json(study / COHORT_NAME, schema=COHORT_SCHEMA)["files"]
    except RunError:
        hidden = {}
    try:
        names = [p.relative_to(cohort).as_posix() for p in cohort.rglob("*")]
        known = {name: hidden[_hidden(name)] for name in names if _hidden(name) in hidden}
        stamps = _stamps(cohort, ("**/*",), known=known)
    except OSError as error:
        raise CohortError(
            f"{cohort}: expected to read every file in it, got {error.strerror}. "
            "Mend the permissions or move the file out."
        ) from error
    hidden = {_hidden(name): stamp for name, stamp in stamps.items()}
    write_json(study / COHORT_NAME, {"schema": COHORT_SCHEMA, "files": hidden})
    return _content(hidden)


def _stamps(folder: Path, files: tuple[str, ...], *, known: Stamps) -> Stamps:
    """Size, time of change and SHA-256 of files by their path in the folder.

    A file whose size and time of change are known is not read again.
    """
    stamps: Stamps = {}
    for path in sorted({p for pattern in files for p in folder.glob(pattern) if p.is_file()}):
        name, stat = path.relative_to(folder).as_posix(), path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        is_known = name in known and known[name][:2] == stamp
        stamps[name] = known[name] if is_known else [*stamp, sha256_of(path)]
    return stamps


def _content(stamps: Stamps) -> str:
    """One hash over names and content, whatever the times of change."""
    content = {name: stamp[2] for name, stamp in stamps.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _hidden(name: str) -> str:
    """A file name as a hash, for it may name a patient."""
    return hashlib.sha256(name.encode()).hexdigest()
