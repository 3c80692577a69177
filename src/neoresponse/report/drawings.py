"""Every figure of the report, by its section, each described for readers who cannot see it.

In: a study folder, read. Out: `Drawing`s.
"""

from dataclasses import dataclass

from neoresponse.contracts.groups import TRAIN, main_cohort, test_cohorts
from neoresponse.contracts.metrics import Metrics
from neoresponse.report import curves, figures, tables
from neoresponse.report.forest import forest_figure
from neoresponse.report.names import display_name
from neoresponse.report.pictures import inline_svg
from neoresponse.report.sources import Study
from neoresponse.types import REFERENCE_MODELS


@dataclass(frozen=True)
class Drawing:
    """A figure of the page.

    Attributes:
        name: file name under `figures/`.
        svg: its content.
        alt: what it shows, in words, for those who cannot see it.
    """

    name: str
    svg: bytes
    alt: str

    @property
    def address(self) -> str:
        """The figure as the address of an image."""
        return inline_svg(self.svg)


def drawings_of(study: Study) -> dict[str, list[Drawing]]:
    """Every figure, by its section."""
    names = ("auc", "roc", "precision_recall", "calibration", "decision", "forest")
    drawings: dict[str, list[Drawing]] = {name: [] for name in names}
    runs, groups = study.named(), tables.groups_of(study)
    # Any part may say that patients are simulated; then every figure says so.
    metrics = study.metrics and study.metrics.model_copy(
        update={"is_simulated": study.is_simulated}
    )
    tested = test_cohorts(groups)
    if metrics and tested:
        picture = figures.auc_figure(metrics, runs=runs, cohorts=tested)
        alt = f"AUC with CI of {_names(runs)} in {', '.join(tested)}; see the tables."
        drawings["auc"].append(Drawing("auc.svg", picture, alt))
    for group in groups:
        if metrics and group != TRAIN:
            title = tables.COHORTS.get(group, group)
            picture = figures.roc_figure(metrics, group, runs=runs, title=title)
            alt = f"ROC curves in {group}. " + "; ".join(_say_aucs(study, group))
            drawings["roc"].append(Drawing(f"roc_{_file_part(group)}.svg", picture, alt))
    cohort = main_cohort(groups)
    if metrics and cohort is not None:
        drawings |= _judgements(study, metrics, cohort)
    for run, epochs in study.epochs.items():
        drawings[f"curves: {run}"] = _curve_drawings(study, run) if epochs else []
    return drawings


def _judgements(study: Study, metrics: Metrics, cohort: str) -> dict[str, list[Drawing]]:
    """Figures of the one cohort that the study is judged by."""
    runs, title = study.named(), tables.COHORTS.get(cohort, cohort)
    where = f"{_names(runs)} in the {title}; see the tables."
    precise = curves.precision_recall_figure(metrics, cohort, runs=runs, title=title)
    calibrated = curves.calibration_figure(metrics, cohort, runs=study.judged())
    decided = curves.decision_figure(metrics, cohort, runs=runs)
    return {
        "precision_recall": [
            Drawing("precision_recall.svg", precise, f"Precision against recall of {where}")
        ],
        "calibration": [
            Drawing(
                "calibration.svg",
                calibrated,
                f"Observed pCR rate against predicted probability, {where}",
            )
        ],
        "decision": [Drawing("decision.svg", decided, f"Net benefit against threshold, {where}")],
        "forest": _forests(study, metrics),
    }


def _forests(study: Study, metrics: Metrics) -> list[Drawing]:
    """Subgroups of every network."""
    drawings = []
    for run in study.named():
        rows = [row for row in metrics.subgroups if row.run == run]
        if run in REFERENCE_MODELS or not rows:
            continue
        picture = forest_figure(
            rows,
            metrics.runs[run].cohorts[rows[0].cohort],
            is_simulated=metrics.is_simulated,
            confidence=metrics.confidence,
        )
        alt = f"AUC of {run} by subgroup in {rows[0].cohort}; see tables/subgroups.csv."
        drawings.append(Drawing(f"subgroups_{run}.svg", picture, alt))
    return drawings


def _curve_drawings(study: Study, run: str) -> list[Drawing]:
    """Both figures of a training."""
    epochs = study.epochs[run]
    kept = next((f"epoch {e.epoch} was kept" for e in epochs if e.is_kept), "no epoch is kept yet")
    loss = figures.loss_figure(run, epochs, is_simulated=study.is_simulated)
    seen = figures.validation_figure(run, epochs, is_simulated=study.is_simulated)
    return [
        Drawing(f"loss_{run}.svg", loss, f"Loss of {run} over {len(epochs)} epochs; {kept}."),
        Drawing(
            f"validation_{run}.svg",
            seen,
            f"Validation accuracy and AUC of {run} over {len(epochs)} epochs; {kept}.",
        ),
    ]


def _say_aucs(study: Study, group: str) -> list[str]:
    """The AUC of each run in a group, in words."""
    return [
        f"{display_name(run)}: AUC {figures.say(study.groups(run)[group].auc)}"
        for run in study.named()
        if group in study.groups(run)
    ]


def _names(runs: list[str]) -> str:
    """Runs as a reader sees them."""
    return ", ".join(display_name(run) for run in runs)


def _file_part(group: str) -> str:
    """A group's name as part of a file name."""
    return "".join(c if c.isalnum() or c in "-+" else "_" for c in group)
