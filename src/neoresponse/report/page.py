"""A study folder -> `report.html`, one file that opens anywhere, with tables and figures beside it.

In: the folder. Out: a new folder with the page, `tables/*.csv` and `figures/*.svg`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import neoresponse
from neoresponse.contracts.cross_validation import CrossValidation
from neoresponse.contracts.explanation import ExplainedPatient
from neoresponse.contracts.groups import TOO_FEW, are_too_few, main_cohort, test_cohorts
from neoresponse.contracts.metrics import Comparison, GroupMetrics, LikelihoodRatio
from neoresponse.durable import write_bytes, write_text
from neoresponse.folders import check_output, new_folder
from neoresponse.report import tables
from neoresponse.report.drawings import Drawing, drawings_of
from neoresponse.report.names import capitalised, display_name
from neoresponse.report.pictures import inline_picture
from neoresponse.report.repeats import elsewhere
from neoresponse.report.sources import Study, read_study
from neoresponse.report.study_tables import cells, study_tables
from neoresponse.types import CLINICAL_ONLY, REFERENCE_MODELS, RESEARCH_USE, SIMULATED, Modality

PAGE = "report.html"
TEMPLATES = Path(__file__).parent / "templates"
INPUTS = {
    Modality.US_0: "US-0, before chemotherapy",
    Modality.US_1: "US-1, after two cycles",
    Modality.BIOPSY: "Biopsy patches",
}
"""Input -> caption of its heat map, in the order of a row."""

TOWARD = {"pcr": "pCR", "residual": "residual disease"}
"""Outcome that a heat map supports -> its name."""


def write_report(work: Path, out: Path, *, force: bool = False, keep_old: bool = True) -> Path:
    """Write the report of a study.

    Args:
        work: the study folder; where a result is missing, the report names the verb that makes it.
        out: the folder to write, straight in the study folder or apart from it.
        force: replace a report that is there.
        keep_old: keep the replaced one beside it.

    Returns:
        Path of the page.

    Raises:
        RunError: `work` is no study folder, a part of it cannot be read, or `out` is not empty.
    """
    is_inside = out.resolve().parent == work.resolve()
    check_output(out, mark=PAGE, force=force, inputs=() if is_inside else (work,))
    study = read_study(work)
    written = tables.csv_tables(study)
    drawings = drawings_of(study)
    page = render_page(study, drawings)
    with new_folder(out, mark=PAGE, force=force, keep_old=keep_old) as folder:
        write_text(folder / PAGE, page)
        (folder / "tables").mkdir()
        for name, text in written.items():
            write_text(folder / "tables" / name, text)
        (folder / "figures").mkdir()
        for group in drawings.values():
            for drawing in group:
                write_bytes(folder / "figures" / drawing.name, drawing.svg)
    return out / PAGE


def render_page(study: Study, drawings: Mapping[str, list[Drawing]]) -> str:
    """The HTML of a report.

    Args:
        study: the study folder, read.
        drawings: from `drawings_of`.
    """
    environment = _environment()
    return environment.get_template(PAGE).render(
        study=study,
        drawings=drawings,
        runs=study.named(),
        judged=study.judged(),
        main=main_cohort(tables.groups_of(study)),
        study_tables=[(table, list(cells(study, table))) for table in study_tables(study)],
        gained=_gained(study),
        groups=tables.groups_of(study),
        test_groups=test_cohorts(tables.groups_of(study)),
        summary=_summary(study),
        too_few=TOO_FEW,
        maps={run: _map_rows(study, run) for run in study.in_order(study.maps)},
        elsewhere=list(elsewhere(study)),
        heads=tables.HEADS,
        clinical_only=CLINICAL_ONLY,
        reference_models=REFERENCE_MODELS,
        version=neoresponse.__version__,
        research_use=RESEARCH_USE,
        simulated=SIMULATED,
    )


@cache
def _environment() -> Environment:
    """The templates; compiled once, however many pages a process writes."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "capitalised": capitalised,
        "display": display_name,
        "exact": repr,
        "few": _is_few,
        "in_order": tables.in_order,
        "p_value": say_p_value,
        "percent": say_percent,
        "signed": say_signed,
    }
    return environment


def say_p_value(value: float | None) -> str:
    """A P value as it is printed: three decimals, or that it is below 0.001."""
    if value is None:
        return "not estimable"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def say_signed(value: float) -> str:
    """A difference with its sign, the minus as long as the plus."""
    return f"{value:+.3f}".replace("-", "−")


def say_percent(part: int, whole: int) -> str:
    """A share in percent, or a dash where there is no whole."""
    return f"{100 * part / whole:.0f}%" if whole else "–"


@dataclass(frozen=True)
class Summary:
    """The first screen: each run in the group that the study is judged by.

    Attributes:
        cohort: name of the group.
        runs: networks and the clinical reference model -> their numbers there.
        others: the other reference models -> their numbers there.
        is_few: whether there are too few patients for a verdict.
        below: networks whose AUC is below that of some reference model.
        gains: network -> its comparison with the clinical reference model.
    """

    cohort: str
    runs: Mapping[str, GroupMetrics]
    others: Mapping[str, GroupMetrics]
    is_few: bool
    below: Sequence[str]
    gains: Mapping[str, Comparison]


@dataclass(frozen=True)
class Picture:
    """A heat map of the page; `address` is None where the patient has none."""

    caption: str
    address: str | None
    alt: str


@dataclass(frozen=True)
class MapRow:
    """One explained patient, and a picture for each input."""

    patient: ExplainedPatient
    toward: str
    images: Sequence[Picture]


def _summary(study: Study) -> Summary | None:
    """The largest test group, each run's AUC in it, and its gain over clinical variables."""
    cohort = main_cohort(tables.groups_of(study))
    if study.metrics is None or cohort is None:
        return None
    groups = {run: study.groups(run).get(cohort) for run in study.named()}
    present = {run: group for run, group in groups.items() if group is not None}
    judged, is_few = study.judged(), any(_is_few(group) for group in present.values())
    return Summary(
        cohort=cohort,
        runs={run: group for run, group in present.items() if run in judged},
        others={run: group for run, group in present.items() if run not in judged},
        is_few=is_few,
        below=[] if is_few else _below_a_reference_model(present),
        gains={
            comparison.run: comparison
            for comparison in study.metrics.comparisons
            if comparison.cohort == cohort and comparison.against == CLINICAL_ONLY
        },
    )


def _is_few(group: GroupMetrics | CrossValidation) -> bool:
    """Whether there are too few patients for a verdict."""
    return are_too_few(group.num_patients, group.num_pcr)


def _below_a_reference_model(groups: Mapping[str, GroupMetrics]) -> list[str]:
    """Networks whose AUC is below that of the best reference model."""
    aucs = {run: group.auc.value for run, group in groups.items()}
    known = {run: value for run, value in aucs.items() if value is not None}
    best = max((value for run, value in known.items() if run in REFERENCE_MODELS), default=0.0)
    return [run for run, value in known.items() if run not in REFERENCE_MODELS and value < best]


def _gained(study: Study) -> list[tuple[Comparison, LikelihoodRatio]]:
    """Each comparison with a reference model in the main cohort, and its likelihood ratio test."""
    if study.metrics is None:
        return []
    tests = {(t.run, t.against): t for t in study.metrics.likelihood_ratios}
    cohort = main_cohort(tables.groups_of(study))
    return [
        (comparison, tests[comparison.run, comparison.against])
        for comparison in study.metrics.comparisons
        if comparison.cohort == cohort and comparison.combined
    ]


def _map_rows(study: Study, run: str) -> list[MapRow]:
    """One row per explained patient."""
    folder, patients = study.folder / "explain" / run, study.maps[run].patients
    drawn = {image.input for patient in patients for image in patient.images}
    rows = []
    for patient in patients:
        files = {image.input: image.file for image in patient.images}
        pictures = [
            Picture(
                caption,
                inline_picture(folder, files[name]) if name in files else None,
                f"Heat map of {run}, patient {patient.patient_id}: {caption}",
            )
            for name, caption in INPUTS.items()
            if name in drawn
        ]
        rows.append(MapRow(patient, TOWARD[patient.toward], pictures))
    return rows
