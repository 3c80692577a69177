"""A whole study in one folder: every step in order, none done twice, none skipped when it is due.

Each step has a key: a hash of its settings and of what it reads. A step whose key is recorded and
whose result still has the recorded hash is kept; all others are done again. A result that comes out
the same as before therefore redoes nothing behind it.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import neoresponse
from neoresponse.cohort.dictionary import find_cohort
from neoresponse.cohort.split import Assignment, read_split, split_patients, write_split
from neoresponse.cohort.validate import CheckedCohort, check_cohort, raise_on_stop, write_check
from neoresponse.config import (
    CLINICAL_FLOOR,
    RunSettings,
    StudySettings,
    run_settings,
    study_settings,
    to_toml,
)
from neoresponse.data.predictions import FILE_NAME as PREDICTIONS_FILE
from neoresponse.data.predictions import (
    PredictionsCard,
    read_card,
    read_predictions,
    write_card,
    write_predictions,
)
from neoresponse.durable import new_folder, read_json, sha256_of, write_json, write_text
from neoresponse.errors import RunError
from neoresponse.evaluation.evaluate import evaluate, write_metrics
from neoresponse.explain.patients import choose_patients, explain_patients
from neoresponse.models.trained import TrainedModel, load_model
from neoresponse.phantom.writer import write_phantom
from neoresponse.preprocess.store import MANIFEST, Store, open_store, prepare_store
from neoresponse.report.page import write_report
from neoresponse.training.floor import clinical_floor
from neoresponse.training.predict import predict_patients
from neoresponse.training.run import CONFIG, RUN, forget_run, is_same_run, train_run, use_threads
from neoresponse.types import Track, untracked

SCHEMA = "neoresponse.study/1"
LEDGER = "study.json"
FLOOR_FILE = "clinical_floor.csv"
Say = Callable[[str], None]


def silent(_line: str) -> None:
    """Say nothing."""


@dataclass
class Study:
    """A study folder and what is known about its steps.

    Attributes:
        folder: the study folder.
        settings: the study.
        track: shows progress within a step.
        say: gets one line per step.
    """

    folder: Path
    settings: StudySettings
    track: Track = untracked
    say: Say = silent
    _steps: dict[str, dict[str, str]] = field(default_factory=dict)

    def step(self, name: str, inputs: Any, face: Path, make: Callable[[], object]) -> str:  # noqa: ANN401
        """Do a step if it is due.

        Args:
            name: its name in the ledger.
            inputs: JSON values: settings and hashes of what it reads.
            face: the file whose hash stands for all that the step makes.
            make: does the step.

        Returns:
            SHA-256 of `face`.
        """
        text = json.dumps([neoresponse.__version__, name, inputs], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        shown = face.parent.relative_to(self.folder)
        done = self._steps.get(name)
        if done and done["key"] == key and face.is_file() and sha256_of(face) == done["face"]:
            self.say(f"{name}: kept {shown}")
            return done["face"]
        make()
        self._steps[name] = {"key": key, "face": sha256_of(face)}
        write_json(self.folder / LEDGER, {"schema": SCHEMA, "steps": self._steps})
        self.say(f"{name}: wrote {shown}")
        return self._steps[name]["face"]

    def load_ledger(self) -> None:
        """Read which steps are done; without a readable ledger none is, and one is begun."""
        try:
            self._steps = read_json(self.folder / LEDGER, schema=SCHEMA)["steps"]
        except RunError:
            write_json(self.folder / LEDGER, {"schema": SCHEMA, "steps": {}})

    @cached_property
    def checked(self) -> CheckedCohort:
        """The cohort, checked once, when the first step needs it."""
        checked = check_cohort(self.settings.cohort, track=self.track)
        raise_on_stop(checked)
        return checked

    @property
    def store(self) -> Store:
        """The prepared store."""
        return open_store(self.folder / "prepared")

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """The split."""
        return read_split(self.folder / "split")


def run_study(
    settings: StudySettings, folder: Path, *, track: Track = untracked, say: Say = silent
) -> Path:
    """Run every step that is due.

    Args:
        settings: from `study_settings`; the cohort's path is absolute or counts from here.
        folder: the study folder; made where it is not there, gone on with where it is.
        track: shows progress within a step.
        say: gets one line per step.

    Returns:
        Path of the report's page.

    Raises:
        NeoresponseError: a step cannot be done; all steps before it stay done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    study = Study(folder=folder, settings=settings, track=track, say=say)
    study.load_ledger()
    write_text(folder / "study.toml", to_toml(settings))
    split, prepared = _make_inputs(study)
    faces = {"split": split, "prepared": prepared}
    runs = {name: _make_run(study, name, faces) for name in settings.runs}
    metrics = _make_metrics(study, runs)
    maps = {name: _make_maps(study, name, prepared) for name in settings.runs}
    page = folder / "report" / "report.html"
    study.step(
        "report",
        {"metrics": metrics, "maps": maps, **faces, "runs": runs, "check": _check_face(study)},
        page,
        lambda: write_report(folder, folder / "report", force=True),
    )
    return page


def run_demo(folder: Path, *, track: Track = untracked, say: Say = silent) -> Path:
    """Make a small phantom and run the whole study on it.

    Returns:
        Path of the report's page.
    """
    settings = study_settings("demo", (f"cohort={json.dumps(str(folder / 'phantom' / 'cohort'))}",))
    folder.mkdir(parents=True, exist_ok=True)
    demo = Study(folder=folder, settings=settings, track=track, say=say)
    demo.load_ledger()
    demo.step(
        "phantom",
        {"settings": settings.phantom.model_dump(mode="json"), "seed": settings.seed},
        folder / "phantom" / "truth" / "truth.json",
        lambda: write_phantom(
            folder / "phantom",
            settings.phantom,
            seed=settings.seed,
            num_workers=os.cpu_count() or 1,
            track=track,
            force=True,
        ),
    )
    return run_study(settings, folder / "study", track=track, say=say)


def predict_run(run: Path, store: Store, *, track: Track = untracked) -> None:
    """Write `predictions.csv` of a run's own split, and the clinical floor beside it."""
    assignments = read_split(run)
    settings = run_settings(str(run / CONFIG))
    use_threads(settings)
    model = load_model(run, device=settings.train.device)
    predictions = predict_patients(model, store, assignments, track=track)
    write_card(run, _card(model, store))
    write_predictions(run / FLOOR_FILE, clinical_floor(store, assignments))
    write_predictions(run / PREDICTIONS_FILE, predictions)


def predict_new(run: Path, store: Store, folder: Path, *, track: Track = untracked) -> None:
    """Write `predictions.csv` of every patient of a store that the model has not seen."""
    model = load_model(run)
    predictions = predict_patients(model, store, None, track=track)
    write_card(folder, _card(model, store))
    write_predictions(folder / PREDICTIONS_FILE, predictions)


def evaluate_runs(sources: dict[str, Path], folder: Path, settings: RunSettings) -> None:
    """Write `metrics.json` of predictions, and of the clinical floor that lies beside the first.

    Args:
        sources: name -> a predictions file.
        folder: where to write; must exist.
        settings: how.
    """
    cards = {name: read_card(path.parent) for name, path in sources.items()}
    files = dict(sources)
    floors = [path.with_name(FLOOR_FILE) for path in sources.values()]
    if floors[0].is_file():
        files[CLINICAL_FLOOR] = floors[0]
    metrics = evaluate(
        {name: read_predictions(path) for name, path in files.items()},
        settings.evaluate,
        is_simulated=any(card.is_simulated for card in cards.values()),
        cohort_name=", ".join(sorted({card.cohort_name for card in cards.values()})),
        thresholds={n: card.threshold for n, card in cards.items() if card.threshold is not None},
    )
    write_metrics(folder, metrics)


def _card(model: TrainedModel, store: Store) -> PredictionsCard:
    """What stands beside a model's predictions."""
    return PredictionsCard(
        cohort_name=store.manifest["cohort_name"],
        is_simulated=store.manifest["is_simulated"] or model.card["trained_on"]["is_simulated"],
        threshold=model.card["threshold"],
    )


def _make_inputs(study: Study) -> tuple[str, str]:
    """Check, split and prepare; the hashes of the split and of the store."""
    settings, folder = study.settings, study.folder
    cohort = _fingerprint(study)

    def check() -> None:
        with new_folder(folder / "check", force=True) as part:
            write_check(part, study.checked)

    def split() -> None:
        assignments = split_patients(study.checked.patients, settings.split, seed=settings.seed)
        with new_folder(folder / "split", force=True) as part:
            write_split(part, assignments, settings.train.augment, seed=settings.seed)

    def prepare() -> None:
        prepare_store(
            study.checked, folder / "prepared", settings.prepare, force=True, track=study.track
        )

    check_face = study.step("check", cohort, folder / "check" / "patients.csv", check)
    split_face = study.step(
        "split",
        [check_face, settings.split.model_dump(mode="json"), settings.seed],
        folder / "split" / "split.csv",
        split,
    )
    prepared_face = study.step(
        "prepare",
        [cohort, settings.prepare.model_dump(mode="json")],
        folder / "prepared" / MANIFEST,
        prepare,
    )
    return split_face, prepared_face


def _make_run(study: Study, name: str, faces: dict[str, str]) -> str:
    """Train and predict; the hash of the predictions."""
    settings = study.settings.run(name)
    run = study.folder / "runs" / name

    def train() -> None:
        is_same = is_same_run(run, settings, study.store, study.assignments)
        if is_same and (run / RUN).exists():
            return
        if not is_same:
            forget_run(run)
        train_run(study.store, study.assignments, settings, run, track=study.track)

    recipe = settings.model_dump(mode="json", include={"seed", "prepare", "model", "train"})
    trained = study.step(f"train {name}", {**faces, "recipe": recipe}, run / RUN, train)
    bundle = sha256_of(run / "model" / "manifest.json")
    return study.step(
        f"predict {name}",
        {**faces, "run": trained, "bundle": bundle},
        run / PREDICTIONS_FILE,
        lambda: predict_run(run, study.store, track=study.track),
    )


def _make_metrics(study: Study, runs: dict[str, str]) -> str:
    """Evaluate all runs together; the hash of the metrics."""
    folder = study.folder / "evaluation"
    sources = {name: study.folder / "runs" / name / PREDICTIONS_FILE for name in runs}

    def make() -> None:
        with new_folder(folder, force=True) as part:
            evaluate_runs(sources, part, study.settings)

    inputs = {"runs": runs, "settings": study.settings.evaluate.model_dump(mode="json")}
    return study.step("evaluate", inputs, folder / "metrics.json", make)


def _make_maps(study: Study, name: str, prepared: str) -> str:
    """Heat maps of one run; the hash of their index."""
    run, folder = study.folder / "runs" / name, study.folder / "explain" / name
    settings = study.settings.explain

    def make() -> None:
        chosen = choose_patients(read_split(run), num_patients=settings.num_patients)
        with new_folder(folder, force=True) as part:
            tracked = study.track(chosen, name="explain")
            explain_patients(load_model(run), study.store, tracked, part, stage=settings.stage)

    inputs = {
        "bundle": sha256_of(run / "model" / "manifest.json"),
        "prepared": prepared,
        "settings": settings.model_dump(mode="json"),
    }
    return study.step(f"explain {name}", inputs, folder / "explain.json", make)


def _check_face(study: Study) -> str:
    """Hash of the counts that the report shows."""
    return sha256_of(study.folder / "check" / "flow.json")


def _fingerprint(study: Study) -> str:
    """One hash over every file of the cohort folder.

    A file of the same size and time of change as before is not read again.
    """
    folder = find_cohort(study.settings.cohort)
    cache_path = study.folder / "cohort-files.json"
    try:
        known = read_json(cache_path, schema="neoresponse.cohort-files/1")["files"]
    except RunError:
        known = {}
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        name = hashlib.sha256(str(path.relative_to(folder)).encode()).hexdigest()
        is_known = name in known and known[name][:2] == stamp
        files[name] = known[name] if is_known else [*stamp, sha256_of(path)]
    write_json(cache_path, {"schema": "neoresponse.cohort-files/1", "files": files})
    content = json.dumps({name: entry[2] for name, entry in files.items()}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
