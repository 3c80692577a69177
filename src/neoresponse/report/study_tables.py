"""Tables 3, 4 and 5 of Guo et al. 2024 and the ROC data of its Figures 4 and 5, from this study.

In: a study folder, read. Out: rows. Which run stands where follows from its settings, never from
its name; a row without a run is named.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from neoresponse.contracts.metrics import GroupMetrics
from neoresponse.report.sources import Study
from neoresponse.settings import ModelSettings
from neoresponse.types import Estimate

COLUMNS = {
    "accuracy": "ACC",
    "auc": "AUC",
    "sensitivity": "SENS",
    "specificity": "SPEC",
    "ppv": "PPV",
    "npv": "NPV",
}
"""Key in `metrics.json` -> column, in the order of the paper."""
SEES: Mapping[str, frozenset[str]] = {
    "patho_ult": frozenset({"biopsy", "us_0"}),
    "dou_ult": frozenset({"us_0", "us_1"}),
    **{name: frozenset({name}) for name in ("biopsy", "us_0", "us_1")},
}
WSIS, US = frozenset({"biopsy"}), frozenset({"us_0", "us_1"})
MULTIMODAL = WSIS | US
SE_CROSST = "SE-CrossT"
BASED = "SE-CrossT based"
"""With clinical variables, as the paper calls it."""
TABLE_COHORTS = {3: ("validation", "TC1"), 4: ("validation", "TC1")} | {
    5: ("validation", "TC1", "TC2")
}
PANELS = (("train", "abcd"), ("validation", "efgh"), ("TC1", "ijkl"))
"""Rows of Figure 4 and the letters of their panels: multimodal, biopsy, ultrasound, ablation."""

Row = Mapping[str, object]


@dataclass(frozen=True)
class StudyTable:
    """One table of the paper, filled from this study.

    Attributes:
        number: 3, 4 or 5.
        title: what it shows.
        runs: row or column of the paper -> the run that stands there.
        missing: rows of the paper for which this study has no run.
    """

    number: int
    title: str
    runs: Mapping[str, str]
    missing: tuple[str, ...] = ()

    @property
    def cohorts(self) -> tuple[str, ...]:
        """The groups that it shows."""
        return TABLE_COHORTS[self.number]


def study_tables(study: Study) -> list[StudyTable]:
    """Tables 3, 4 and 5; one for which no run fits is left out."""
    networks = _networks(study)
    has_clinical = _compared_with_clinical(networks)
    sees = "with clinical variables" if has_clinical else "images only"
    architectures = {
        architecture(network): run
        for run, network in reversed(networks.items())
        if images(network) == MULTIMODAL and network.clinical is has_clinical and _is_whole(network)
    }
    own = {name: run for name, run in _own(networks, has_clinical).items()}
    table_5 = {
        name: run
        for name, clinical in ((SE_CROSST, False), (BASED, True))
        if (run := _own(networks, clinical).get("Multimodal"))
    }
    tables = [
        StudyTable(
            3,
            f"Architectures on biopsy and ultrasound ({sees})",
            dict(reversed(architectures.items())),
        ),
        StudyTable(
            4,
            f"SE-CrossT by input ({sees})",
            own,
            _missing(("WSIs", "US", "Multimodal"), own),
        ),
        StudyTable(
            5,
            "SE-CrossT without and with clinical variables",
            table_5,
            _missing((SE_CROSST, BASED), table_5),
        ),
    ]
    return [table for table in tables if table.runs]


def table_rows(study: Study, table: StudyTable) -> Iterator[Row]:
    """One row per cohort and run of a table, every digit."""
    for cohort, name, run, group in cells(study, table):
        row: dict[str, object] = {
            "table": table.number,
            "cohort": cohort,
            "row": name,
            "run": run,
            "num_patients": group.num_patients,
            "num_pcr": group.num_pcr,
        }
        for key, column in COLUMNS.items():
            estimate: Estimate = getattr(group, key)
            row |= {
                column: estimate.value,
                f"{column}_low": estimate.low,
                f"{column}_high": estimate.high,
                f"{column}_method": estimate.method,
            }
        yield row


def cells(study: Study, table: StudyTable) -> Iterator[tuple[str, str, str, GroupMetrics]]:
    """Cohort, row of the paper, run and its numbers, for all that are there."""
    for cohort in table.cohorts:
        for name, run in table.runs.items():
            if cohort in study.groups(run):
                yield cohort, name, run, study.groups(run)[cohort]


def figure_4_rows(study: Study) -> Iterator[Row]:
    """ROC points of Figure 4, panel by panel; panels without a run are left out."""
    networks = _networks(study)
    has_clinical = _compared_with_clinical(networks)
    columns = [
        [
            run
            for run, network in networks.items()
            if images(network) == seen and network.clinical is clinical and _is_whole(network)
        ]
        for seen, clinical in ((MULTIMODAL, has_clinical), (WSIS, False), (US, False))
    ]
    columns.append(_ablation(networks))
    for cohort, letters in PANELS:
        for letter, runs in zip(letters, columns, strict=True):
            yield from _points(study, runs, cohort=cohort, panel=letter)


def figure_5_rows(study: Study) -> Iterator[Row]:
    """ROC points of Figure 5: SE-CrossT without and with clinical variables in TC2."""
    runs = [run for run in _ablation(_networks(study)) if _is_whole(study.networks[run])]
    yield from _points(study, runs, cohort="TC2", panel="")


def images(network: ModelSettings) -> frozenset[str]:
    """The images that a network uses."""
    return frozenset().union(*(SEES[pathway] for pathway in network.pathways))


def architecture(network: ModelSettings) -> str:
    """How the paper would call it: SE-CrossT, or the name of another backbone."""
    return SE_CROSST if network.backbone == "crossformer" else network.backbone


def _networks(study: Study) -> dict[str, ModelSettings]:
    """Networks of evaluated runs, in the order of the study."""
    return {run: study.networks[run] for run in study.named() if run in study.networks}


def _is_whole(network: ModelSettings) -> bool:
    """Whether nothing is taken out of it: a CrossFormer without excitation is an ablation."""
    return network.se or network.backbone != "crossformer"


def _compared_with_clinical(networks: Mapping[str, ModelSettings]) -> bool:
    """Whether more architectures of this study have clinical variables than have not."""
    names: dict[bool, set[str]] = {True: set(), False: set()}
    for network in networks.values():
        if images(network) == MULTIMODAL:
            names[network.clinical].add(architecture(network))
    return len(names[True]) > len(names[False])


def _own(networks: Mapping[str, ModelSettings], clinical: bool) -> dict[str, str]:
    """SE-CrossT by what it sees: row of Table 4 -> the first run that fits."""
    runs = {}
    for name, seen in (("WSIs", WSIS), ("US", US), ("Multimodal", MULTIMODAL)):
        fitting = [
            run
            for run, network in networks.items()
            if architecture(network) == SE_CROSST
            and _is_whole(network)
            and images(network) == seen
            and network.clinical is clinical
        ]
        if fitting:
            runs[name] = fitting[0]
    return runs


def _ablation(networks: Mapping[str, ModelSettings]) -> list[str]:
    """SE-CrossT on all images, with and without excitation and clinical variables."""
    return [
        run
        for run, network in networks.items()
        if architecture(network) == SE_CROSST and images(network) == MULTIMODAL
    ]


def _missing(names: Iterable[str], runs: Mapping[str, str]) -> tuple[str, ...]:
    """Rows of the paper that no run fills."""
    return tuple(name for name in names if name not in runs)


def _points(study: Study, runs: Sequence[str], *, cohort: str, panel: str) -> Iterator[Row]:
    """ROC points of some runs in one cohort."""
    for run in runs:
        group = study.groups(run).get(cohort)
        if group is None:
            continue
        curve = group.roc
        for false, true in zip(curve.false_positive_rate, curve.true_positive_rate, strict=True):
            yield {
                "panel": panel,
                "cohort": cohort,
                "run": run,
                "network": architecture(study.networks[run]),
                "has_excitation": study.networks[run].se,
                "has_clinical": study.networks[run].clinical,
                "false_positive_rate": false,
                "true_positive_rate": true,
            }
