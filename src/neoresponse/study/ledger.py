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

import neoresponse
from neoresponse.contracts.record import read_record, write_record
from neoresponse.contracts.study import CohortFiles, DoneStep, Stamps, StudyRecord
from neoresponse.durable import sha256_of
from neoresponse.errors import CohortError, RunError
from neoresponse.types import Say, silent

_PENDING = "not known before this is done: "


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
    inputs: object
    folder: Path
    files: tuple[str, ...] = ("**/*",)

    @property
    def key(self) -> str:
        """One hash over software, name and inputs."""
        text = json.dumps([neoresponse.__version__, self.name, self.inputs], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Ledger:
    """The steps of one study folder."""

    def __init__(self, folder: Path, say: Say = silent, *, only_plans: bool = False) -> None:
        """Read which steps are done; without a readable ledger none is, and one is begun.

        Args:
            folder: the study folder; it exists and no other process works in it.
            say: gets one line per step.
            only_plans: do no step and write nothing, but find out which are due.
        """
        self.folder, self.only_plans, self.say = folder, only_plans, say
        self.is_due: dict[str, bool] = {}
        """Name of each step that was looked at -> whether it is due."""
        self._steps: dict[str, DoneStep] = {}
        try:
            self._steps = dict(read_record(folder, StudyRecord).steps)
        except RunError:
            self._write()

    def step(
        self,
        name: str,
        inputs: object,
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
        if self.only_plans:
            return self.plan(step)
        make()
        return self.done(step)

    def kept(self, step: Step) -> str | None:
        """The hash of what a step made, or None where it is due."""
        known = self._steps.get(step.name, DoneStep(key="", files={}))
        made = _stamps(step.folder, step.files, known=known.files)
        if known.key != step.key or not made or _content(made) != _content(known.files):
            return None
        return self._record(step, made, "kept")

    def adopted(self, step: Step, *, but: tuple[str, ...]) -> str | None:
        """The hash of what a step made whose key an earlier version computed otherwise.

        Args:
            step: its folder says by itself that it is the wanted one.
            but: files that the step made then and makes no more.

        Returns:
            None where a file is not as the step left it.
        """
        known = self._steps.get(step.name, DoneStep(key="", files={})).files
        made = _stamps(step.folder, step.files, known=known)
        left = {name: stamp for name, stamp in known.items() if name not in but}
        if not made or _content(made) != _content(left):
            return None
        return self._record(step, made, "kept")

    def done(self, step: Step) -> str:
        """Write down that a step was done just now; the hash of what it made."""
        return self._record(step, _stamps(step.folder, step.files, known={}), "wrote")

    def plan(self, step: Step) -> str:
        """Note that a step is due; what stands for the hash of what it will make."""
        self.is_due[step.name] = True
        return f"{_PENDING}{step.name}"

    def has_key(self, step: Step) -> bool:
        """Whether a step was done with these very inputs, whatever became of its files."""
        return step.name in self._steps and self._steps[step.name].key == step.key

    def rename(self, old: str, new: str) -> None:
        """Give what is known of a step another name."""
        if old in self._steps:
            self._steps[new] = self._steps.pop(old)
            self._write()

    def _record(self, step: Step, made: Stamps, word: str) -> str:
        """Say it, and put it into the ledger; the hash of what was made."""
        self.is_due[step.name] = False
        if not self.only_plans:
            self.say(f"{step.name}: {word} {step.folder.relative_to(self.folder)}")
            self._steps[step.name] = DoneStep(key=step.key, files=made)
            self._write()
        return _content(made)

    def _write(self) -> None:
        """Put the ledger on disk."""
        if not self.only_plans:
            write_record(self.folder, StudyRecord(steps=self._steps))


def is_pending(made: str) -> bool:
    """Whether a hash is that of a step that is only planned."""
    return made.startswith(_PENDING)


def fingerprint(cohort: Path, study: Path, *, only_plans: bool = False) -> str:
    """One hash over every file of a cohort folder; the record of it names no file.

    Args:
        cohort: the cohort folder.
        study: the study folder, where sizes and times of change are kept for the next time.
        only_plans: write nothing.

    Raises:
        CohortError: a file cannot be read.
    """
    try:
        hidden = read_record(study, CohortFiles).files
    except RunError:
        hidden = {}
    try:
        names = [p.relative_to(cohort).as_posix() for p in cohort.rglob("*")]
        known = {name: hidden[_hidden(name)] for name in names if _hidden(name) in hidden}
        stamps = _stamps(cohort, ("**/*",), known=known)
    except OSError as error:
        raise CohortError(
            f"{cohort}: expected to read every file in it, got {error.strerror}. "
            "Correct the permissions or move the file out."
        ) from error
    hidden = {_hidden(name): stamp for name, stamp in stamps.items()}
    if not only_plans:
        write_record(study, CohortFiles(files=hidden))
    return _content(hidden)


def _stamps(folder: Path, files: tuple[str, ...], *, known: Stamps) -> Stamps:
    """Size, time of change and SHA-256 of files by their path in the folder.

    A file whose size and time of change are known is not read again.
    """
    stamps: Stamps = {}
    for path in sorted({p for pattern in files for p in folder.glob(pattern) if p.is_file()}):
        name, stat = path.relative_to(folder).as_posix(), path.stat()
        size, changed_ns = stat.st_size, stat.st_mtime_ns
        is_known = name in known and known[name][:2] == (size, changed_ns)
        stamps[name] = known[name] if is_known else (size, changed_ns, sha256_of(path))
    return stamps


def _content(stamps: Stamps) -> str:
    """One hash over names and content, whatever the times of change."""
    content = {name: stamp[2] for name, stamp in stamps.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _hidden(name: str) -> str:
    """A file name as a hash, for it may name a patient."""
    return hashlib.sha256(name.encode()).hexdigest()
