"""The same networks again: other seeds, other parts of the patients, other cohorts -> rows."""

from collections.abc import Iterator, Mapping

from neoresponse.contracts.groups import main_cohort
from neoresponse.contracts.metrics import GroupMetrics
from neoresponse.report.model_tables import spread
from neoresponse.report.sources import Study
from neoresponse.types import REFERENCE_MODELS

Row = Mapping[str, object]


def seed_rows(study: Study) -> Iterator[Row]:
    """One row per run and group of patients: how much its AUC differs from seed to seed."""
    if study.metrics is None:
        return
    for entry in study.metrics.seeds:
        averaged = study.groups(entry.run)[entry.cohort]
        yield {
            "cohort": entry.cohort,
            "run": entry.run,
            "num_seeds": len(entry.auc),
            **{name: getattr(entry, name) for name in ("mean", "deviation", "lowest", "highest")},
            "seeds": " ".join(entry.auc),
            "aucs": " ".join("-" if v is None else repr(v) for v in entry.auc.values()),
            "auc_of_mean": averaged.auc.value,
        }


def cross_validation_rows(study: Study) -> Iterator[Row]:
    """One row per run and reference model."""
    folds = study.cross_validation
    if folds is None:
        return
    gains = {(one.run, one.against): one for one in folds.comparisons}
    for run in folds.run_order:
        numbers = folds.runs[run]
        row: dict[str, object] = {
            "run": run,
            "num_patients": folds.num_patients,
            "num_pcr": folds.num_pcr,
            "num_folds": folds.num_folds,
            "num_repeats": folds.num_repeats,
            **spread("auc", numbers.auc),
            "deviation_over_folds": numbers.deviation_over_folds,
            "times_chosen": folds.times_chosen.get(run),
        }
        for reference in REFERENCE_MODELS:
            gain = gains.get((run, reference))
            if gain is not None:
                row |= spread(f"above_{reference}", gain.difference)
                row |= {f"p_{reference}": gain.p_value}
        yield row


def elsewhere_rows(study: Study) -> Iterator[Row]:
    """One row per cohort from elsewhere and run."""
    for cohort, run, group in elsewhere(study):
        yield {
            "cohort": cohort,
            "run": run,
            "num_patients": group.num_patients,
            "num_pcr": group.num_pcr,
            **spread("auc", group.auc),
            **spread("sensitivity", group.sensitivity),
            **spread("specificity", group.specificity),
            **spread("brier", group.calibration.brier),
        }


def elsewhere(study: Study) -> Iterator[tuple[str, str, GroupMetrics]]:
    """Name of the cohort, run, and the run's numbers there; reference models last."""
    for cohort, metrics in study.elsewhere.items():
        runs = sorted(metrics.run_order, key=lambda name: name in REFERENCE_MODELS)
        for run in runs:
            groups = metrics.runs[run].cohorts
            group = main_cohort(list(groups))
            if group is not None:
                yield cohort, run, groups[group]
