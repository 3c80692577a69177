"""A study folder -> `report.html`, one file that opens anywhere, with tables and figures beside it.

In: the folder. Out: a new folder with the page, `tables/*.csv` and `figures/*.svg`.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError

import neoresponse
from neoresponse.contracts.groups import main_cohort, test_cohorts
from neoresponse.durable import new_folder, write_bytes, write_text
from neoresponse.errors import RunError
from neoresponse.report import tables
from neoresponse.report.drawings import Drawing, drawings_of
from neoresponse.report.pictures import inline_picture
from neoresponse.report.repeats import elsewhere
from neoresponse.report.sources import Content, Study, read_study
from neoresponse.report.study_tables import cells, study_tables
from neoresponse.settings import CLINICAL_FLOOR, FLOORS
from neoresponse.types import RESEARCH_USE, SIMULATED, Modality

PAGE = "report.html"
TEMPLATES = Path(__file__).parent / "templates"
INPUTS = {
    Modality.US_0: "US-0, before chemotherapy",
    Modality.US_1: "US-1, after two cycles",
    Modality.BIOPSY: "Biopsy patches",
}
"""Input -> caption of its heat map, in the order of a row."""

TOWARD = {"pcr": "pCR", "residual": "residual disease"}
"""What a patient's heat speaks for -> how it is said."""


def write_report(work: Path, out: Path, *, force: bool = False) -> Path:
    """Write the report of a study.

    Args:
        work: the study folder; a part that is absent is named in the report, with the step that
            makes it.
        out: the folder to write.
        force: replace a report that is there.

    Returns:
        Path of the page.

    Raises:
        RunError: `work` is no study folder, a part of it cannot be read, or `out` is not empty.
    """
    try:
        study = read_study(work)
        written = tables.csv_tables(study)
        drawings = drawings_of(study)
        page = render_page(study, drawings)
    except (LookupError, TypeError, ValueError, AttributeError, UndefinedError) as error:
        raise RunError(
            f"{work}: expected the files of a study as they were written, got others "
            f"({type(error).__name__}: {str(error)[:80]}). Make the study again."
        ) from error
    with new_folder(out, mark=PAGE, force=force) as folder:
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
        maps={run: _map_rows(study, run) for run in study.in_order(study.maps)},
        elsewhere=list(elsewhere(study)),
        heads=tables.HEADS,
        floor=CLINICAL_FLOOR,
        floors=FLOORS,
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
        "exact": repr,
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
    """A share in percent, or nothing where there is no whole."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


def _summary(study: Study) -> Content | None:
    """The largest test group, each run's AUC in it, and its gain over the clinical floor."""
    tested = test_cohorts(tables.groups_of(study))
    if study.metrics is None or not tested:
        return None
    cohort = main_cohort(tested)
    gains = {
        c["run"]: c
        for c in study.metrics["comparisons"]
        if c["cohort"] == cohort and c["against"] == CLINICAL_FLOOR
    }
    groups = {run: study.metrics["runs"][run]["cohorts"].get(cohort) for run in study.named()}
    present = {run: group for run, group in groups.items() if group}
    judged = study.judged()
    return {
        "cohort": cohort,
        "runs": {run: group for run, group in present.items() if run in judged},
        "others": {run: group for run, group in present.items() if run not in judged},
        "below": _below_a_floor(present),
        "gains": gains,
    }


def _below_a_floor(groups: Content) -> list[str]:
    """Networks whose AUC is below that of some floor."""
    aucs = {run: group["auc"]["value"] for run, group in groups.items()}
    known = {run: value for run, value in aucs.items() if value is not None}
    best = max((value for run, value in known.items() if run in FLOORS), default=0.0)
    return [run for run, value in known.items() if run not in FLOORS and value < best]


def _gained(study: Study) -> list[tuple[Content, Content]]:
    """Each comparison with a floor in the main cohort, with its likelihood ratio test."""
    if study.metrics is None:
        return []
    tests = {(t["run"], t["against"]): t for t in study.metrics["likelihood_ratios"]}
    cohort = main_cohort(tables.groups_of(study))
    return [
        (one, tests[one["run"], one["against"]])
        for one in study.metrics["comparisons"]
        if one["cohort"] == cohort and one["combined"]
    ]


def _map_rows(study: Study, run: str) -> list[dict[str, Any]]:
    """One row per explained patient: who, and a picture or None for each input."""
    folder = study.folder / "explain" / run
    rows = []
    for patient in study.maps[run]["patients"]:
        images = {image["input"]: image for image in patient["images"]}
        shown = [
            {
                "caption": caption,
                "address": inline_picture(folder, images[name]["file"]) if name in images else None,
                "alt": f"Heat map of {run}, patient {patient['patient_id']}: {caption}",
            }
            for name, caption in INPUTS.items()
            if any(name == i["input"] for p in study.maps[run]["patients"] for i in p["images"])
        ]
        toward = TOWARD[patient["toward"]] if "toward" in patient else None
        rows.append({"patient": patient, "toward": toward, "images": shown})
    return rows
