"""Outcome -> clinical values of simulated patients, distributed as in Guo 2024, Table 1.

Counts are those of the paper's table, per outcome. The four variables that a model sees (phenotype,
ER, regimen, Ki-67) form cells whose probability given the outcome is known exactly: the oracle
needs that. Only possible combinations occur. Equations: docs/explanation/phantom.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import beta, gamma

from neoresponse.types import FloatArray, IntArray

Columns = dict[str, npt.NDArray[Any]]
"""One array per variable, each of shape (patients,)."""
Counts = Mapping[str, tuple[int, int]]
"""Level -> patients without and with pCR."""

NUM_BY_LABEL = (441, 155)
"""Patients without and with pCR (Guo 2024, Table 1)."""
PHENOTYPE: Counts = {
    "HR+/HER2-": (289, 22),
    "triple-negative": (48, 30),
    "HR-/HER2+": (44, 64),
    "HR+/HER2+": (60, 39),
}
ER_IN_HR_POSITIVE: Counts = {"negative": (8, 5), "low": (8, 13), "positive": (333, 43)}
"""Table 1, less the HR-negative patients, all of whom are ER-negative."""
PR_POSITIVE_SHARE = (131 / 341, 38 / 56)
"""Of HR-positive patients whose ER is not negative; the others must be PR-positive."""
HER2_LOW_SHARE = (218 / 337, 22 / 52)
"""Of patients who are not HER2-positive."""
ANTI_HER2_SHARE = (76 / 104, 90 / 103)
"""Of patients who are HER2-positive."""
OTHER_REGIMEN: Counts = {
    "taxane+platinum": (15, 8),
    "taxane": (10, 2),
    "anthracycline+taxane": (340, 55),
}
KI67_MEAN = {"HR+/HER2-": 22.7, "triple-negative": 44.7, "HR-/HER2+": 35.7, "HR+/HER2+": 29.7}
"""Without pCR. How phenotypes differ is ours; the mean over them, 27.4, is Table 1's."""
KI67_RISE = 6.6
"""What pCR adds within a phenotype; with it the mean is Table 1's 40.7."""
KI67_SD = 18.2
"""Within phenotype and outcome; over all phenotypes 19.5 as in Table 1."""
KI67_LEVELS = np.arange(1, 99)
"""Whole per cent that occur."""
AGE_YEARS = ((53.17, 9.24), (52.52, 9.17))
"""Mean and standard deviation, without and with pCR; so for the next."""
BMI = ((24.97, 3.43), (24.62, 3.29))
SIZE_LAW = gamma(a=(29.6 / 9.0) ** 2, scale=9.0**2 / 29.6)
"""Of the longest diameter in mm: mean 29.6, standard deviation 9, whatever the outcome."""
SIZE_RANGE_MM = (8.0, 75.0)
T4_SHARE = 11 / 596
LARGE_SHARE = float(SIZE_LAW.sf(50.5))
"""Of tumours, those above 50 mm once rounded; they are T3."""
NODE_POSITIVE_SHARE = (416 / 441, 144 / 155)
STAGE_III_SHARE = (63 / 441, 37 / 155)
BI_RADS: Counts = {"2-4a": (4, 4), "4b": (18, 15), "4c": (164, 41), "5": (255, 95)}


@dataclass(frozen=True)
class Cells:
    """All combinations of phenotype, ER, regimen and Ki-67 that occur.

    Attributes:
        phenotype: level, (cells,).
        er: level, (cells,).
        regimen: level, (cells,).
        ki67_percent: (cells,).
        share: probability of a cell without and with pCR, (2, cells); each row adds to 1.
        clinical_odds: log of the ratio of the two, brought to mean 0 and standard deviation 1 over
            the population, (cells,): how much a patient's four variables speak for pCR.
        ki67: Ki-67 brought to mean 0 and standard deviation 1 over the population, (cells,).
    """

    phenotype: npt.NDArray[np.str_]
    er: npt.NDArray[np.str_]
    regimen: npt.NDArray[np.str_]
    ki67_percent: FloatArray
    share: FloatArray
    clinical_odds: FloatArray
    ki67: FloatArray


@lru_cache(maxsize=8)
def make_cells(strength: float) -> Cells:
    """The cells and their probabilities.

    Args:
        strength: 1 gives Table 1; 0 gives values that say nothing about the outcome; above 1 they
            say more than in the paper.
    """
    names, ki67, table_share = _table_cells()
    pooled = pooled_share(table_share)
    share = pooled * (table_share / pooled) ** strength
    share /= share.sum(axis=1, keepdims=True)
    pooled = pooled_share(share)
    phenotype, er, regimen = np.array(names).T
    return Cells(
        phenotype=phenotype,
        er=er,
        regimen=regimen,
        ki67_percent=ki67,
        share=share,
        clinical_odds=_standardised(np.log(share[1] / share[0]), pooled),
        ki67=_standardised(ki67, pooled),
    )


def pooled_share(share: FloatArray) -> FloatArray:
    """Probability of each cell whatever the outcome, (cells,), from that by outcome, (2, cells)."""
    pooled: FloatArray = np.average(share, axis=0, weights=NUM_BY_LABEL)
    return pooled


def draw_clinical(rng: np.random.Generator, cells: Cells, cell: IntArray, label: int) -> Columns:
    """All clinical variables of patients of one outcome.

    Args:
        rng: source of randomness.
        cells: the combinations.
        cell: which of them each patient has, (patients,).
        label: 1 for pCR, 0 for residual disease.

    Returns:
        The variables of `cohort.dictionary`, and `diameter_mm`, the tumour's size before rounding.
    """
    columns: Columns = {
        "phenotype": cells.phenotype[cell],
        "er": cells.er[cell],
        "regimen": cells.regimen[cell],
        "ki67_percent": cells.ki67_percent[cell],
    }
    columns |= _draw_other_receptors(rng, columns, label)
    columns |= _draw_body(rng, len(cell), label)
    columns |= _draw_extent(rng, len(cell), label)
    return columns


def _table_cells() -> tuple[list[tuple[str, str, str]], FloatArray, FloatArray]:
    """Levels of each cell, its Ki-67, and its probability by outcome, (2, cells)."""
    names, ki67, shares = [], [], []
    for phenotype, counts in PHENOTYPE.items():
        ers = _er_shares() if phenotype.startswith("HR+") else {"negative": np.ones(2)}
        share = np.array(counts) / NUM_BY_LABEL
        kis = _ki67_shares(KI67_MEAN[phenotype])
        for er, er_share in ers.items():
            for regimen, regimen_share in _regimen_shares(phenotype).items():
                names += [(phenotype, er, regimen)] * len(KI67_LEVELS)
                ki67.append(KI67_LEVELS)
                shares.append((share * er_share * regimen_share)[:, None] * kis)
    return names, np.concatenate(ki67).astype(float), np.concatenate(shares, axis=1)


def _er_shares() -> dict[str, FloatArray]:
    """ER level of an HR-positive patient -> probability without and with pCR, (2,)."""
    return _shares(ER_IN_HR_POSITIVE)


def _regimen_shares(phenotype: str) -> dict[str, FloatArray]:
    """Regimen -> probability; anti-HER2 drugs for the HER2-positive alone, at times withheld."""
    others = _shares(OTHER_REGIMEN)
    if not phenotype.endswith("HER2+"):
        return others
    anti = np.array(ANTI_HER2_SHARE)
    return {"anti-HER2": anti} | {name: (1 - anti) * share for name, share in others.items()}


def _shares(counts: Counts) -> dict[str, FloatArray]:
    """Level -> probability without and with pCR, (2,)."""
    totals = np.sum(list(counts.values()), axis=0)
    return {level: np.array(pair) / totals for level, pair in counts.items()}


def _ki67_shares(mean_without_pcr: float) -> FloatArray:
    """Probability of each whole per cent, (2, levels): a beta distribution, cut into steps."""
    edges = np.concatenate([[0], (KI67_LEVELS[:-1] + KI67_LEVELS[1:]) / 2, [100]]) / 100
    rows = []
    for rise in (0.0, KI67_RISE):
        mean = (mean_without_pcr + rise) / 100
        total = mean * (1 - mean) / (KI67_SD / 100) ** 2 - 1
        rows.append(np.diff(beta.cdf(edges, mean * total, (1 - mean) * total)))
    return np.array(rows)


def _standardised(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean 0 and standard deviation 1 under weights; all 0 where nothing varies."""
    centred = values - np.average(values, weights=weights)
    spread = np.sqrt(np.average(centred**2, weights=weights))
    return centred / spread if spread > 1e-9 else np.zeros_like(centred)


def _draw_other_receptors(rng: np.random.Generator, columns: Columns, label: int) -> Columns:
    """PR and HER2 that agree with phenotype and ER."""
    num = len(columns["er"])
    is_hr = np.char.startswith(columns["phenotype"], "HR+")
    is_drawn = np.where(rng.random(num) < PR_POSITIVE_SHARE[label], "positive", "negative")
    pr = np.where(is_hr, np.where(columns["er"] == "negative", "positive", is_drawn), "negative")
    low = np.where(rng.random(num) < HER2_LOW_SHARE[label], "low", "negative")
    is_her2 = np.char.endswith(columns["phenotype"], "HER2+")
    return {"pr": pr, "her2": np.where(is_her2, "positive", low)}


def _draw_body(rng: np.random.Generator, num: int, label: int) -> Columns:
    """Age, body mass index, and menopause that follows age."""
    age = np.round(np.clip(rng.normal(*AGE_YEARS[label], num), 24, 84))
    bmi = np.round(np.clip(rng.normal(*BMI[label], num), 16, 42), 1)
    is_post = rng.random(num) < expit((age - 47.8) / 1.8)
    return {"age_years": age, "bmi": bmi, "menopause": np.where(is_post, "post", "pre")}


def _draw_extent(rng: np.random.Generator, num: int, label: int) -> Columns:
    """Size, T stage that follows it (T4 at any size), nodes, stage, BI-RADS."""
    low, high = SIZE_LAW.cdf(SIZE_RANGE_MM)
    diameter = SIZE_LAW.ppf(low + (high - low) * rng.random(num))
    size = np.round(diameter)
    t_stage = np.select([size <= 20, size <= 50], ["T1", "T2"], "T3")
    t_stage = np.where(rng.random(num) < T4_SHARE, "T4", t_stage)
    nodes = np.where(rng.random(num) < NODE_POSITIVE_SHARE[label], "positive", "negative")
    is_large = (t_stage == "T4") | ((t_stage == "T3") & (nodes == "positive"))
    has_many_nodes = (nodes == "positive") & (rng.random(num) < _many_nodes_share(label))
    levels = list(BI_RADS)
    edges = np.cumsum([BI_RADS[level][label] for level in levels]) / NUM_BY_LABEL[label]
    return {
        "size_mm": size,
        "diameter_mm": diameter,
        "t_stage": t_stage,
        "nodes": nodes,
        "stage": np.where(is_large | has_many_nodes, "III", "I-II"),
        "bi_rads": np.array(levels)[np.searchsorted(edges, rng.random(num), side="right")],
    }


def _many_nodes_share(label: int) -> float:
    """Of node-positive patients, the share with N2 or N3, so that stage III is as in Table 1."""
    positive = NODE_POSITIVE_SHARE[label]
    is_large = T4_SHARE + (1 - T4_SHARE) * LARGE_SHARE * positive
    small_positive = positive * (1 - T4_SHARE) * (1 - LARGE_SHARE)
    return (STAGE_III_SHARE[label] - is_large) / small_positive
