"""The steps of a study that are not training: each one function, each done only when due.

Every function takes hashes of what it reads and gives the hash of what it made.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from neoresponse.audit import audited
from neoresponse.cohort.dictionary import find_cohort
from neoresponse.cohort.split import read_split, split_patients, write_split
from neoresponse.cohort.validate import write_check
from neoresponse.contracts.explanation import Explanation
from neoresponse.contracts.flow import Flow
from neoresponse.contracts.metrics import Metrics
from neoresponse.contracts.predictions import FILE_NAME
from neoresponse.contracts.record import write_record
from neoresponse.contracts.reference_models import ReferenceCard
from neoresponse.contracts.split import SplitSummary
from neoresponse.durable import sha256_of
from neoresponse.evaluation.evaluate import evaluate_files
from neoresponse.evaluation.limit import ORACLE
from neoresponse.evaluation.operating_point import operating_point_of_run
from neoresponse.evaluation.reference import write_reference
from neoresponse.evaluation.spread import spread_over_seeds
from neoresponse.explain.patients import MapStyle, choose_patients, explain_patients
from neoresponse.leaks import record_files
from neoresponse.preprocess.store import open_store, prepare_store
from neoresponse.report.page import PAGE, write_report
from neoresponse.study.ledger import fingerprint, is_pending
from neoresponse.study.place import Study, fresh_folder
from neoresponse.study.trainings import Trained
from neoresponse.training.outputs import open_run


def read_cohort(study: Study) -> str:
    """The hash of every file of the cohort."""
    cohort = find_cohort(study.settings.cohort)
    return fingerprint(cohort, study.folder, only_plans=study.ledger.only_plans)


def check(study: Study, cohort: str) -> str:
    """Check the cohort; the hash of what was found."""
    folder = study.folder / "check"

    def make() -> None:
        with fresh_folder(folder, Flow.FILE_NAME) as part:
            write_check(part, study.checked)

    return study.ledger.step("check", cohort, folder, make)


def split(study: Study, checked: str) -> str:
    """Split the patients; the hash of the split."""
    settings, folder = study.settings, study.folder / "split"

    def make() -> None:
        assignments = split_patients(study.checked.patients, settings.split, seed=settings.seed)
        with fresh_folder(folder, SplitSummary.FILE_NAME) as part:
            write_split(part, assignments, settings.train.augment, seed=settings.seed)

    inputs = {
        "check": checked,
        "split": settings.split.model_dump(mode="json"),
        "augment": settings.train.augment.model_dump(mode="json"),
        "seed": settings.seed,
    }
    return study.ledger.step("split", inputs, folder, make)


def prepare(study: Study, cohort: str) -> str:
    """Make the prepared store; its hash."""
    settings, folder = study.settings.prepare, study.prepared

    def make() -> None:
        prepare_store(
            study.checked, folder, settings, force=True, keep_old=False, track=study.track
        )

    inputs = [cohort, settings.model_dump(mode="json")]
    return study.ledger.step("prepare", inputs, folder, make)


def reference(study: Study, split: str, prepared: str) -> str:
    """Fit the reference models of the split; their hash."""
    folder = study.reference

    def make() -> None:
        with fresh_folder(folder, ReferenceCard.FILE_NAME) as part:
            write_reference(part, open_store(study.prepared), study.assignments)

    return study.ledger.step("reference", {"split": split, "prepared": prepared}, folder, make)


def evaluate(
    study: Study,
    predicted: Mapping[str, str],
    members: Mapping[str, Sequence[Trained]],
    *,
    reference: str,
) -> str:
    """Evaluate all runs together; the hash of the metrics.

    Args:
        study: the study.
        predicted: run -> hash of its predictions.
        members: run with several seeds -> each of them.
        reference: hash of the reference models.
    """
    folder = study.folder / "evaluation"
    sources = {name: study.folder / "runs" / name / FILE_NAME for name in predicted}
    files = {
        name: {one.training.settings.seed: one.training.run / FILE_NAME for one in found}
        for name, found in members.items()
    }
    truth = study.settings.truth

    def make() -> None:
        record_files(study.folder, sources)
        beside = {"reference": study.reference, "truth": truth}
        metrics = evaluate_files(sources, study.settings.evaluate, **beside)
        with fresh_folder(folder, Metrics.FILE_NAME) as part:
            seeds = {"seeds": spread_over_seeds(files)}
            write_record(part, audited(metrics.model_copy(update=seeds)))

    has_oracle = truth is not None and (truth / ORACLE).is_file()
    inputs = {
        "runs": dict(predicted),
        "reference": reference,
        "members": {name: [one.predicted for one in found] for name, found in members.items()},
        "settings": study.settings.evaluate.model_dump(mode="json"),
        "oracle": sha256_of(truth / ORACLE) if truth and has_oracle else None,
    }
    return study.ledger.step("evaluate", inputs, folder, make)


def explain(study: Study, name: str, trained: Trained, prepared: str) -> str:
    """Heat maps of one run, of several seeds the first; their hash."""
    run, folder = trained.training.run, study.folder / "explain" / name
    settings = study.settings.explain
    threshold: float | str = trained.predicted
    if not is_pending(trained.predicted):
        threshold = operating_point_of_run(run, study.settings.evaluate).threshold

    def make() -> None:
        style = MapStyle(settings.stage, float(threshold))
        chosen = choose_patients(read_split(run), num_patients=settings.num_patients)
        tracked = study.track(chosen, name="explain")
        store = open_store(study.prepared)
        with fresh_folder(folder, Explanation.FILE_NAME) as part:
            explain_patients(open_run(run), store, tracked, part, style=style)

    inputs = [trained.trained, prepared, settings.model_dump(mode="json"), threshold]
    return study.ledger.step(f"explain {name}", inputs, folder, make)


def report(study: Study, shown: object) -> Path:
    """Make the report; its page.

    Args:
        study: the study.
        shown: hashes of all that is shown.
    """
    out = study.folder / "report"

    def make() -> None:
        write_report(study.folder, out, force=True, keep_old=False)

    study.ledger.step("report", shown, out, make)
    return out / PAGE
