"""Cohorts from elsewhere: every network of the study is tested on them as it is.

Each gets a folder of its own, laid out like a study's, with its own report. Threshold and floors
are those of the study's own patients; nothing is fitted on the cohort.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from neoresponse.audit import audited
from neoresponse.cohort.dictionary import find_cohort
from neoresponse.cohort.validate import check_cohort, raise_on_stop, write_check
from neoresponse.contracts.characteristics import FILE_NAME as CHARACTERISTICS
from neoresponse.contracts.metrics import SHARED, write_metrics
from neoresponse.contracts.predictions import (
    CARD_NAME,
    FILE_NAME,
    average_predictions,
    floor_file,
    read_card,
    read_predictions,
    write_card,
    write_predictions,
)
from neoresponse.durable import make_folder, write_bytes
from neoresponse.evaluation.evaluate import evaluate_files
from neoresponse.grid.job import Job, predicting_job
from neoresponse.leaks import part_of_patients, record_files, shared_patients
from neoresponse.preprocess.store import MANIFEST, open_store, prepare_store
from neoresponse.report.page import PAGE, write_report
from neoresponse.settings import FLOORS
from neoresponse.study.ledger import Step, fingerprint
from neoresponse.study.place import Study, fresh_folder, make_way
from neoresponse.study.trainings import Trained, do_jobs
from neoresponse.training.floor import floors_elsewhere

FOLDER = "external"
_PREDICTED = (FILE_NAME, CARD_NAME, CHARACTERISTICS)


def evaluate_elsewhere(
    study: Study, members: Mapping[str, list[Trained]], prepared: str
) -> dict[str, str]:
    """Test every run on every cohort from elsewhere.

    Args:
        study: the study; takes in the failures.
        members: run -> its finished trainings, one or one per seed.
        prepared: hash of the study's own store.

    Returns:
        Name of the cohort -> hash of its numbers.
    """
    found = {}
    for name, cohort in study.settings.external.items():
        folder = study.folder / FOLDER / name
        make_folder(folder)
        store = _prepare(study, name, cohort, folder)
        predicted = _predict(study, members, store, folder)
        if predicted:
            found[name] = _evaluate(study, predicted, folder, f"{store} {prepared}")
    return found


def _prepare(study: Study, name: str, cohort: Path, folder: Path) -> str:
    """Check the cohort and make its store; the store's hash."""
    settings = study.settings.prepare

    def make() -> None:
        checked = check_cohort(cohort, track=study.track)
        raise_on_stop(checked)
        with fresh_folder(folder / "check", "flow.json") as part:
            write_check(part, checked)
        make_way(folder / "prepared", MANIFEST)
        prepare_store(checked, folder / "prepared", settings, force=True, track=study.track)

    inputs = [fingerprint(find_cohort(cohort), folder), settings.model_dump(mode="json")]
    files = ("check/*", "prepared/*")
    return study.ledger.step(f"prepare {name}", inputs, folder, make, files=files)


def _predict(
    study: Study, members: Mapping[str, list[Trained]], store: str, folder: Path
) -> dict[str, str]:
    """Predict with every training, and put the seeds of a run together; run -> hash."""
    steps: dict[str, Step] = {}
    jobs: list[Job] = []
    for run, trained in members.items():
        for one in trained:
            name = _name(one, folder)
            out = _predicted(folder, run, one)
            steps[name] = Step(name, [one.trained, store], out, _PREDICTED)
            if study.ledger.kept(steps[name]) is None:
                make_way(out, FILE_NAME)
                places = {"prepared": folder / "prepared", "run": one.training.run, "out": out}
                jobs.append(predicting_job(name, one.training.settings, places))

    def finished(job: Job) -> None:
        study.ledger.done(steps[job.name])

    trainings = [one.training for trained in members.values() for one in trained]
    do_jobs(study, jobs, trainings, finished=finished)
    return {
        run: _put_together(study, run, trained, folder)
        for run, trained in members.items()
        if not any(_name(one, folder) in study.failures for one in trained)
    }


def _name(one: Trained, folder: Path) -> str:
    """What predicting a cohort with one training is called."""
    return f"predict {one.training.name} {folder.name}"


def _predicted(folder: Path, run: str, one: Trained) -> Path:
    """Where predictions of one training go."""
    return folder / "predicted" / f"{run}-seed-{one.training.settings.seed}"


def _put_together(study: Study, run: str, trained: list[Trained], folder: Path) -> str:
    """The mean over seeds, or the only one, as a run of the cohort's folder; its hash."""
    out = folder / "runs" / run
    sources = [_predicted(folder, run, one) for one in trained]

    def make() -> None:
        make_folder(out)
        averaged = average_predictions([read_predictions(one / FILE_NAME) for one in sources])
        own = study.folder / "runs" / run
        threshold = read_card(own).threshold
        write_card(out, replace(read_card(sources[0]), threshold=threshold))
        write_bytes(out / CHARACTERISTICS, (sources[0] / CHARACTERISTICS).read_bytes())
        write_bytes(out / "config.toml", (own / "config.toml").read_bytes())
        places = open_store(study.prepared), open_store(folder / "prepared")
        for name, rows in floors_elsewhere(*places, study.assignments).items():
            write_predictions(out / floor_file(name), rows)
        write_predictions(out / FILE_NAME, averaged)

    inputs = {
        "trained": [one.trained for one in trained],
        "predicted": [one.predicted for one in trained],
    }
    files = (*_PREDICTED, "config.toml", *map(floor_file, FLOORS))
    return study.ledger.step(f"average {run} {folder.name}", inputs, out, make, files=files)


def _evaluate(study: Study, predicted: Mapping[str, str], folder: Path, stores: str) -> str:
    """Numbers and report of one cohort; their hash."""
    sources = {run: folder / "runs" / run / FILE_NAME for run in predicted}
    out = folder / "evaluation"

    def make() -> None:
        record_files(folder, sources)
        own, other = open_store(study.prepared), open_store(folder / "prepared")
        shared = shared_patients(own, part_of_patients(study.assignments), other, folder.name)
        metrics = audited(evaluate_files(sources, study.settings.evaluate))
        with fresh_folder(out, "metrics.json") as part:
            write_metrics(part, metrics | {SHARED: [leak.sentence for leak in shared]})
        make_way(folder / "report", PAGE)
        write_report(folder, folder / "report", force=True)

    inputs = [dict(predicted), study.settings.evaluate.model_dump(mode="json"), stores]
    files = ("evaluation/*", "report/**/*")
    return study.ledger.step(f"evaluate {folder.name}", inputs, folder, make, files=files)
