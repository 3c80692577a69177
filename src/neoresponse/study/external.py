"""Cohorts from elsewhere: every network of the study is tested on them as it is.

Each gets a folder of its own, laid out like a study's, with its own report. Threshold and reference
models are those of the study's own patients; nothing is fitted on the cohort.
"""

from collections.abc import Mapping
from pathlib import Path

from neoresponse.audit import audited
from neoresponse.cohort.dictionary import find_cohort
from neoresponse.cohort.validate import check_cohort, raise_on_stop, write_check
from neoresponse.contracts.flow import Flow
from neoresponse.contracts.metrics import Metrics
from neoresponse.contracts.predictions import (
    CARD_NAME,
    FILE_NAME,
    average_predictions,
    read_card,
    read_predictions,
    write_card,
    write_predictions,
)
from neoresponse.contracts.record import write_record
from neoresponse.contracts.reference_models import FOLDER as REFERENCE
from neoresponse.contracts.reference_models import ReferenceCard
from neoresponse.durable import make_folder, write_bytes
from neoresponse.evaluation.evaluate import evaluate_files
from neoresponse.evaluation.operating_point import operating_point_of_run, with_point
from neoresponse.evaluation.reference import write_reference_elsewhere
from neoresponse.grid.job import Job, predicting_job
from neoresponse.leaks import part_of_patients, record_files, shared_patients
from neoresponse.preprocess.store import open_store, prepare_store
from neoresponse.report.page import write_report
from neoresponse.study.ledger import Step, fingerprint, is_pending
from neoresponse.study.place import Study, fresh_folder
from neoresponse.study.trainings import Trained, do_jobs

FOLDER = "external"
_PREDICTED = (FILE_NAME, CARD_NAME)


def evaluate_elsewhere(
    study: Study, members: Mapping[str, list[Trained]], *, split: str, prepared: str
) -> dict[str, str]:
    """Test every run on every cohort from elsewhere.

    Args:
        study: the study; takes in the failures.
        members: run -> its finished trainings, one or one per seed.
        split: hash of the study's own split.
        prepared: hash of the study's own store.

    Returns:
        Name of the cohort -> hash of its numbers.
    """
    found = {}
    for name, cohort in study.settings.external.items():
        folder = study.folder / FOLDER / name
        if not study.ledger.only_plans:
            make_folder(folder)
        store = _prepare(study, name, cohort, folder)
        reference = _reference(study, folder, {"own": [split, prepared], "store": store})
        predicted = _predict(study, members, store, folder)
        if predicted:
            found[name] = _evaluate(study, predicted, folder, reference)
    return found


def _prepare(study: Study, name: str, cohort: Path, folder: Path) -> str:
    """Check the cohort and make its store; the store's hash."""
    settings = study.settings.prepare

    def make() -> None:
        checked = check_cohort(cohort, track=study.track)
        raise_on_stop(checked)
        with fresh_folder(folder / "check", Flow.FILE_NAME) as part:
            write_check(part, checked)
        prepare_store(
            checked,
            folder / "prepared",
            settings,
            force=True,
            keep_old=False,
            track=study.track,
        )

    plans = study.ledger.only_plans
    files_hash = fingerprint(find_cohort(cohort), folder, only_plans=plans)
    inputs = [files_hash, settings.model_dump(mode="json")]
    files = ("check/*", "prepared/*")
    return study.ledger.step(f"prepare {name}", inputs, folder, make, files=files)


def _reference(study: Study, folder: Path, inputs: object) -> str:
    """The study's own reference models on the cohort; their hash."""
    out = folder / REFERENCE

    def make() -> None:
        own, other = open_store(study.prepared), open_store(folder / "prepared")
        with fresh_folder(out, ReferenceCard.FILE_NAME) as part:
            write_reference_elsewhere(part, own, other, assignments=study.assignments)

    return study.ledger.step(f"reference {folder.name}", inputs, out, make)


def _predict(
    study: Study, members: Mapping[str, list[Trained]], store: str, folder: Path
) -> dict[str, str]:
    """Predict with every training, and put the seeds of a run together; run -> hash."""
    ledger = study.ledger
    steps: dict[str, Step] = {}
    predicted: dict[str, str] = {}
    jobs: list[Job] = []
    for run, trained in members.items():
        for one in trained:
            name = _name(one, folder)
            out = _predicted(folder, run, one)
            steps[name] = Step(name, [one.trained, store], out, _PREDICTED)
            kept = ledger.kept(steps[name])
            if kept is None and ledger.only_plans:
                kept = ledger.plan(steps[name])
            if kept is not None:
                predicted[name] = kept
            else:
                places = {"prepared": folder / "prepared", "run": one.training.run, "out": out}
                jobs.append(predicting_job(name, one.training.settings, places))

    def finished(job: Job) -> None:
        predicted[job.name] = ledger.done(steps[job.name])

    trainings = [one.training for trained in members.values() for one in trained]
    do_jobs(study, jobs, trainings, finished=finished)
    return {
        run: _put_together(study, run, trained, folder, predicted)
        for run, trained in members.items()
        if all(_name(one, folder) in predicted for one in trained)
    }


def _name(one: Trained, folder: Path) -> str:
    """What predicting a cohort with one training is called."""
    return f"predict {one.training.name} {folder.name}"


def _predicted(folder: Path, run: str, one: Trained) -> Path:
    """Where predictions of one training go."""
    return folder / "predicted" / f"{run}-seed-{one.training.settings.seed}"


def _put_together(
    study: Study, run: str, trained: list[Trained], folder: Path, predicted: Mapping[str, str]
) -> str:
    """The mean over seeds, or the only one, as a run of the cohort's folder; its hash."""
    out, own = folder / "runs" / run, study.folder / "runs" / run
    is_planned = any(is_pending(one.predicted) for one in trained)
    point = None if is_planned else operating_point_of_run(own, study.settings.evaluate)
    sources = [_predicted(folder, run, one) for one in trained]

    def make() -> None:
        make_folder(out)
        averaged = average_predictions([read_predictions(one / FILE_NAME) for one in sources])
        assert point is not None
        write_card(out, with_point(read_card(sources[0]), point))
        write_predictions(out / FILE_NAME, averaged)

    inputs = {
        "predicted": [predicted[_name(one, folder)] for one in trained],
        "point": None if point is None else [point.threshold, point.note],
    }
    name = f"average {run} {folder.name}"
    made = study.ledger.step(name, inputs, out, make, files=_PREDICTED)
    if not study.ledger.only_plans:
        write_bytes(out / "config.toml", (own / "config.toml").read_bytes())
    return made


def _evaluate(study: Study, predicted: Mapping[str, str], folder: Path, reference: str) -> str:
    """Numbers and report of one cohort; their hash."""
    sources = {run: folder / "runs" / run / FILE_NAME for run in predicted}
    out = folder / "evaluation"

    def make() -> None:
        record_files(folder, sources)
        own, other = open_store(study.prepared), open_store(folder / "prepared")
        shared = shared_patients(own, part_of_patients(study.assignments), other, folder.name)
        reference_folder = folder / REFERENCE
        metrics = audited(
            evaluate_files(sources, study.settings.evaluate, reference=reference_folder)
        )
        with fresh_folder(out, Metrics.FILE_NAME) as part:
            sentences = tuple(leak.sentence for leak in shared)
            write_record(part, metrics.model_copy(update={"training_patients": sentences}))
        write_report(folder, folder / "report", force=True, keep_old=False)

    settings = study.settings.evaluate.model_dump(mode="json")
    inputs = [dict(predicted), settings, reference]
    files = ("evaluation/*", "report/**/*")
    return study.ledger.step(f"evaluate {folder.name}", inputs, folder, make, files=files)
