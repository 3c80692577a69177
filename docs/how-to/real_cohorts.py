"""Worked examples on three real cohorts: every number with its interval, beside the published one.

    python docs/how-to/real_cohorts.py PUBLIC

PUBLIC holds `tables_transneo`, `tables_ispy1` and `tables_impress` (real-cohorts.md says where they
come from). Nothing is written and nothing is copied; patients stay numbers without names.
"""

import csv
import gzip
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openpyxl

from neoresponse.describe import (
    CohortTable,
    Columns,
    Plan,
    added_value,
    as_text,
    describe_by_outcome,
    fit_model,
    grid_of_groups,
    leave_pair_out,
    mean_of_pairs,
    number,
    table_of_file,
)
from neoresponse.describe.grid import interval_text, p_text
from neoresponse.stats import (
    adjust_p_values,
    delong_interval,
    fit_logistic,
    logistic_probability,
    mann_whitney,
    paired_delong,
)
from neoresponse.types import Estimate

SEED = 20240905

TRANSNEO = ("Age", "ER.status", "HER2.status", "LN.status.at.diagnosis", "Grade.pre.NAT")
TRANSNEO_REFERENCES = {name: "NEG" for name in TRANSNEO[1:4]}
ISPY_FILE = "I-SPY 1 All Patient Clinical and Outcome Data.xlsx"
ISPY_SHEETS = ("TCIA Patient Clinical Subset", "TCIA Outcomes Subset")
EARLY = {
    "1-3 days after the first cycle": "MRI LD 1-3dAC",
    "between the regimens": "MRI LD InterReg",
}
BASELINE = "MRI LD Baseline"
IMPRESS_CONSTANT = [("all", f"{stain}_proportion") for stain in ("HE", "CD8", "CD163", "PDL1")]


@dataclass(frozen=True)
class Line:
    """One number of an example.

    Attributes:
        name: what it is of.
        estimate: value, interval, patients and method; or None where it is a test alone.
        p_value: of its test, or None.
    """

    name: str
    estimate: Estimate | None
    p_value: float | None = None


def main(public: Path) -> None:
    """Print all three examples."""
    print(as_text(grid_of_groups(describe_by_outcome(transneo_table(public)))))
    for title, lines in examples(public):
        print(f"\n{title}")
        for line in lines:
            print(f"  {text_of(line)}")


def examples(public: Path) -> Iterator[tuple[str, list[Line]]]:
    """Title and numbers of each example."""
    table = transneo_table(public)
    yield from (
        ("TransNEO: clinical model", transneo_model(table)),
        ("TransNEO: published scores", transneo_scores(public)),
        ("TransNEO: what the H&E biopsy adds", transneo_biopsy(public)),
        ("I-SPY 1: what an early change of size adds to the receptors", ispy1(public)),
        ("IMPRESS HER2+: biopsy features", impress(public)),
    )


# TransNEO: Sammut et al., Nature 2022, 601:623-629.


def transneo_table(public: Path) -> CohortTable:
    """Patients with a known outcome, and what was known of them before treatment."""
    path = public / "tables_transneo" / "transneo_discovery_clinical_168.csv"
    columns = Columns("pCR.RD", pcr="pCR", variables=(*TRANSNEO, "T.stage"))
    return table_of_file(path, columns)


def transneo_model(table: CohortTable) -> list[Line]:
    """Odds ratios of R's model (grade per step), and how it does on patients it has not seen."""
    label = table.label
    grades = {one.name: one for one in table.variables}["Grade.pre.NAT"]
    steps = number(grades.name, [float(grades.levels[int(place)]) for place in grades.values])
    chosen = [*table.only(TRANSNEO[:4]).variables, steps]
    model = fit_model(table, chosen, Plan(references=TRANSNEO_REFERENCES))
    lines = []
    for one in model.variables:
        effect = one.effects[-1]
        name = f"odds ratio of {one.name} {effect.level}".rstrip()
        lines.append(Line(name, effect.wald, effect.p_wald))
    design = np.column_stack([one.values for one in chosen])
    matrix = np.column_stack([np.ones(len(label)), design])
    probability = logistic_probability(matrix, fit_logistic(matrix, label))
    lines.append(Line("AUC on the patients it was fitted on", _auc(label, probability)))
    found = added_value(label, design[:, :1], design, rng=np.random.default_rng(SEED))
    return [*lines, Line("AUC less its optimism", found.auc_after)]


def transneo_scores(public: Path) -> list[Line]:
    """Six published scores of 147 patients, and each against the clinical one."""
    rows = _rows(public / "tables_transneo" / "transneo_training_scores_147.csv")
    label = np.array([int(row["pCR.RD"] == "pCR") for row in rows])
    names = [name for name in rows[0] if name not in ("Trial.ID", "Class", "pCR.RD")]
    scores = {name: np.array([float(row[name]) for row in rows]) for name in names}
    lines = [Line(f"AUC of {name}", _auc(label, values)) for name, values in scores.items()]
    others = names[1:]
    found = [paired_delong(label, scores[name], scores[names[0]]) for name in others]
    adjusted = adjust_p_values([one.p_value for one in found], method="holm")
    for name, one, p_value in zip(others, found, adjusted, strict=True):
        lines.append(Line(f"{name} minus {names[0]}", one.difference, one.p_value))
        lines.append(Line(f"{name} minus {names[0]}, P after Holm", None, float(p_value)))
    return lines


def transneo_biopsy(public: Path) -> list[Line]:
    """Lymphocytes in the H&E biopsy beside the clinical variables, patients with both."""
    folder = public / "tables_transneo"
    with gzip.open(folder / "transneo-diagnosis-DigPathology.tsv.gz", "rt") as file:
        slides = {row["Trial.ID"]: row for row in csv.DictReader(file, delimiter="\t")}
    rows = [
        row
        for row in _rows(folder / "transneo_discovery_clinical_168.csv")
        if row["pCR.RD"] in ("pCR", "RD") and row["Donor.ID"] in slides
    ]
    label = np.array([int(row["pCR.RD"] == "pCR") for row in rows])
    clinical = np.array(
        [
            [
                float(row["Age"]),
                *(row[name] == "POS" for name in TRANSNEO[1:4]),
                float(row["Grade.pre.NAT"]),
            ]
            for row in rows
        ],
        dtype=float,
    )
    lymphocytes = np.array([float(slides[row["Donor.ID"]]["fraction_lymph"]) for row in rows])
    return gain(label, clinical, np.column_stack([clinical, lymphocytes]))


# I-SPY 1 / ACRIN 6657: TCIA 10.7937/K9/TCIA.2016.HdHpgJLK.


def ispy1(public: Path) -> list[Line]:
    """What the change of the longest diameter adds to receptor status, at two early times."""
    rows = ispy1_rows(public / "tables_ispy1" / ISPY_FILE)
    lines = []
    for when, column in EARLY.items():
        needed = ("PCR", "HR_HER2_STATUS", BASELINE, column)
        known = [row for row in rows if all(row[name] is not None for name in needed)]
        label = np.array([int(row["PCR"]) for row in known])
        receptors = np.array(
            [[row["HR_HER2_STATUS"] == kind for kind in ("HER2pos", "TripleNeg")] for row in known],
            dtype=float,
        )
        change = np.array([float(row[column]) / float(row[BASELINE]) - 1 for row in known])
        lines.append(Line(f"{when}: {len(rows) - len(known)} of {len(rows)} left out", None))
        lines += gain(label, receptors, np.column_stack([receptors, change]))
    return lines


def ispy1_rows(path: Path) -> list[dict[str, object]]:
    """Both sheets joined by patient; an empty cell is None.

    One formula of the clinical sheet, in a column that is not used, was never computed, so the
    cells are read one by one in place of `read_table`, which refuses such a sheet.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles that are not used
        book = openpyxl.load_workbook(path, data_only=True)
    tables = []
    for name in ISPY_SHEETS:
        header, *body = book[name].iter_rows(values_only=True)
        records = [dict(zip(header, cells, strict=True)) for cells in body]
        tables.append({row["SUBJECTID"]: row for row in records if row["SUBJECTID"] is not None})
    clinical, outcomes = tables
    return [
        {**row, **outcomes[patient]} for patient, row in clinical.items() if patient in outcomes
    ]


# IMPRESS: Huang et al., npj Precision Oncology 2023, 7:14.


def impress(public: Path) -> list[Line]:
    """Pathologists' and image features beside the clinical variables, 62 HER2+ patients."""
    clinical, label, images, scores = impress_tables(public)
    base = np.column_stack(list(clinical.values()))
    tests = {
        name: mann_whitney(values[label == 1], values[label == 0])
        for name, values in images.items()
    }
    names = [name for name, test in tests.items() if test.p_value is not None]
    adjusted = adjust_p_values([tests[name].p_value for name in names], method="holm")
    raw = np.array([tests[name].p_value for name in names])
    lines = [
        Line(f"{len(names)} image features: {int((raw < 0.05).sum())} with P below 0.05", None),
        Line(f"after Holm: {int((adjusted < 0.05).sum())}", None, float(adjusted.min())),
    ]
    best = names[int(np.argmin(raw))]
    lines.append(
        Line(f"AUC of {' '.join(best)}, the one with the least P", _auc(label, images[best]))
    )
    proportions = [values for (_, name), values in images.items() if name == "HE_proportion"]
    sets = {
        "clinical variables": base,
        "clinical variables and pathologists' scores": np.column_stack([base, *scores.values()]),
        "clinical variables and H&E proportions": np.column_stack([base, *proportions]),
        "clinical variables and all image features": np.column_stack([base, *images.values()]),
    }
    pairs = {name: leave_pair_out(label, design) for name, design in sets.items()}
    first = pairs["clinical variables"]
    for name, order in pairs.items():
        lines.append(Line(f"AUC of {name}", mean_of_pairs(order)))
        if order is not first:
            lines.append(Line(f"gain of {name}", mean_of_pairs(order - first)))
    return lines


def impress_tables(
    public: Path,
) -> tuple[
    dict[str, np.ndarray], np.ndarray, dict[tuple[str, str], np.ndarray], dict[str, np.ndarray]
]:
    """Clinical variables, label, image features and pathologists' scores of the same patients.

    The header has two rows. The image features number the patients 61 to 124, the other files 0 to
    61: rows belong together by their order, and joining on the number would pair wrong patients.
    """
    folder = public / "tables_impress"
    clinical = _two_row_header(folder / "clinical_HER2+.csv")
    label = clinical.pop(("clinical", "pCR")).astype(int)
    images = _two_row_header(folder / "features_IMPRESS_HER2+.csv")
    scores = _two_row_header(folder / "features_pathologists_HER2+.csv")
    kept = {name: values for name, values in images.items() if name not in IMPRESS_CONSTANT}
    return (
        {name: values for (_, name), values in clinical.items()},
        label,
        kept,
        {name: values for (_, name), values in scores.items()},
    )


def _two_row_header(path: Path) -> dict[tuple[str, str], np.ndarray]:
    """(group, feature) -> its values."""
    with path.open(newline="") as file:
        groups, names, *body = csv.reader(file)
    columns = zip(groups[1:], names[1:], strict=True)
    return {
        column: np.array([float(row[place]) for row in body])
        for place, column in enumerate(columns, start=1)
    }


# What all three share.


def gain(label: np.ndarray, smaller: np.ndarray, larger: np.ndarray) -> list[Line]:
    """What the columns that only the larger design has add."""
    found = added_value(label, smaller, larger, rng=np.random.default_rng(SEED))
    head = f"likelihood ratio {found.test.statistic:.2f}, {found.test.degrees:g} degree"
    return [
        Line(f"{head}, n = {len(label)}", None, found.test.p_value),
        Line("AUC before", found.auc_before),
        Line("AUC after", found.auc_after),
        Line("gain in AUC", found.auc_gain),
        *(Line(f"gain in net benefit at {cut:g}", one) for cut, one in found.benefit_gain.items()),
    ]


def _auc(label: np.ndarray, values: np.ndarray) -> Estimate:
    """AUC with the interval that holds in small groups."""
    return delong_interval(label, values, scale="logit")


def _rows(path: Path) -> Sequence[Mapping[str, str]]:
    """Rows of a CSV file with one header row."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def text_of(line: Line) -> str:
    """One line as printed."""
    parts = [line.name]
    if line.estimate is not None:
        one = line.estimate
        parts.append(f"{interval_text(one, 3)}, n = {one.num_patients}, {one.method}")
    if line.p_value is not None:
        parts.append(f"P {p_text(line.p_value)}")
    return "; ".join(parts)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
