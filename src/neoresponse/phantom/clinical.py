"""Seed -> simulated patients: clinical values, hidden traits, outcome, what pictures will show.

All equations and effect sizes of the phantom stand here; docs/explanation/phantom.md explains
them. Counts are those of Guo 2024, Tables 1 and 2. Every patient comes from one forward model:
clinical values and traits are drawn, and pCR has the probability sigmoid(linear predictor).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr

from neoresponse.types import FloatArray

Columns = dict[str, npt.NDArray[Any]]
"""One array per variable, each of shape (patients,)."""

STRATA: Mapping[tuple[str, int], int] = {
    ("unifocal", 0): 359,
    ("unifocal", 1): 132,
    ("multifocal", 0): 82,
    ("multifocal", 1): 23,
}
"""(focality, label) -> patients in the published cohort (Table 1)."""
BLOCK = sum(STRATA.values())

PHENOTYPE = {"HR+/HER2-": 311, "triple-negative": 78, "HR-/HER2+": 108, "HR+/HER2+": 99}
ER_IN_HR_POSITIVE = {"negative": 13, "low": 21, "positive": 376}
"""Table 1 counts; the 13 are what is left of 199 ER-negative after the 186 HR-negative."""
PR_POSITIVE_SHARE = 169 / 397
"""Of HR-positive patients whose ER is not negative (182 PR-positive less the 13 above)."""
HER2_LOW_SHARE = {"HR+/HER2-": 0.67, "triple-negative": 0.40}
"""Of HER2-negative phenotypes; together 240 of 389 as in Table 1."""
ANTI_HER2_SHARE = 166 / 207
OTHER_REGIMEN = {"taxane+platinum": 23, "taxane": 12, "anthracycline+taxane": 395}
KI67_MEAN = {"HR+/HER2-": 24.0, "triple-negative": 48.0, "HR-/HER2+": 38.0, "HR+/HER2+": 32.0}
"""Ours: set so that the mean over all phenotypes is 30.8 as in Table 1."""
KI67_CONCENTRATION = 5.2
"""Alpha + beta of the beta distribution; gives a standard deviation near 18 points."""
KI67_CENTRE = 30.8
BI_RADS = {"2-4a": 8, "4b": 33, "4c": 205, "5": 350}
SIZE_MM = (29.5, 9.0)
"""Mean and standard deviation of the longest diameter."""

INVISIBLE_BELOW = 0.26
"""A lesion that shrank below this share of its first diameter is no longer seen at US-1."""


@dataclass(frozen=True)
class Effects:
    """How outcome depends on everything; effects are log odds ratios.

    Attributes:
        intercept: by focality; set so that the expected pCR share is the published one.
        til: per standard deviation of lymphocyte density in the biopsy.
        response: per standard deviation of early response (lesion change US-0 to US-1).
        clinical: factor on the four clinical terms; 1 follows Tables 1 and 2.
        multifocal_share: factor on `til` and `response` in multifocal tumours.
        multifocal_noise: log odds per standard deviation of a trait that nothing shows.
        correlation: between the two traits.
        phenotype: what is left of the crude odds ratios of Table 1 beside the terms below.
        er: Table 2.
        regimen: Table 2.
        ki67_per_point: per percentage point of Ki-67, Table 2.
    """

    intercept: Mapping[str, float]
    til: float
    response: float
    clinical: float = 1.0
    multifocal_share: float = 0.6
    multifocal_noise: float = 0.8
    correlation: float = 0.0
    phenotype: Mapping[str, float] = field(
        default_factory=lambda: {
            "HR+/HER2-": 0.0,
            "triple-negative": 0.20,
            "HR-/HER2+": 0.40,
            "HR+/HER2+": 1.10,
        }
    )
    er: Mapping[str, float] = field(
        default_factory=lambda: {"negative": 1.43, "low": 2.10, "positive": 0.0}
    )
    regimen: Mapping[str, float] = field(
        default_factory=lambda: {
            "anti-HER2": 1.06,
            "taxane+platinum": 0.0,
            "taxane": 0.0,
            "anthracycline+taxane": 0.0,
        }
    )
    ki67_per_point: float = 0.0208


PRESETS: Mapping[str, Effects] = {
    "guo2024": Effects(
        {"unifocal": -3.77, "multifocal": -4.01}, til=1.3, response=2.0, clinical=1.4
    ),
    "easy": Effects({"unifocal": -4.12, "multifocal": -3.85}, til=2.5, response=3.5),
    "null": Effects({"unifocal": -2.51, "multifocal": -2.97}, til=0.0, response=0.0),
    "clinical-only": Effects(
        {"unifocal": -5.62, "multifocal": -6.25}, til=0.0, response=0.0, clinical=2.5
    ),
}


@dataclass(frozen=True)
class SimulatedPatient:
    """A patient before any picture is drawn; what nobody can see has names of its own.

    Attributes:
        patient_id: the id in every file.
        is_multifocal: whether the tumour has several foci.
        label: 1 for pCR, 0 for residual disease.
        clinical: our variable name -> level or number, all of them.
        z_til: lymphocyte density, standard normal in the population.
        z_response: early response, standard normal in the population.
        z_hidden: a trait that nothing shows, standard normal in the population.
        linear_predictor: log odds of pCR in the forward model.
        probability: of pCR in the forward model.
    """

    patient_id: str
    is_multifocal: bool
    label: int
    clinical: Mapping[str, str | float]
    z_til: float
    z_response: float
    z_hidden: float
    linear_predictor: float
    probability: float


def draw_patient(
    rng: np.random.Generator, *, index: int, stratum: tuple[str, int], effects: Effects
) -> SimulatedPatient:
    """Draw one patient of a given focality and outcome, by rejection from the forward model.

    Args:
        rng: source of this patient's randomness.
        index: number of the patient, from 0.
        stratum: focality and label that the patient must have.
        effects: the forward model.
    """
    focality, label = stratum
    while True:
        drawn = draw_population(rng, 64, focality=focality, effects=effects)
        accepted = np.flatnonzero((rng.random(64) < drawn["probability"]) == bool(label))
        if accepted.size:
            row = {name: values[accepted[0]].item() for name, values in drawn.items()}
            break
    hidden = ("z_til", "z_response", "z_hidden", "linear_predictor", "probability")
    return SimulatedPatient(
        patient_id=f"P{index + 1:04d}",
        is_multifocal=focality == "multifocal",
        label=label,
        clinical={name: value for name, value in row.items() if name not in hidden},
        **{name: row[name] for name in hidden},
    )


def draw_population(
    rng: np.random.Generator, num_patients: int, *, focality: str, effects: Effects
) -> Columns:
    """Draw patients of one focality from the forward model, before any outcome is drawn.

    Returns:
        The clinical variables, `z_til`, `z_response`, `z_hidden`, `linear_predictor` and
        `probability`, each (patients,).
    """
    columns = _draw_clinical(rng, num_patients)
    z = rng.standard_normal((3, num_patients))
    rho = effects.correlation
    columns["z_til"] = z[0]
    columns["z_response"] = rho * z[0] + np.sqrt(1 - rho**2) * z[1]
    columns["z_hidden"] = z[2]
    predictor = clinical_term(columns, effects=effects) + image_term(
        columns["z_til"], columns["z_response"], focality=focality, effects=effects
    )
    if focality == "multifocal":
        predictor = predictor + effects.multifocal_noise * columns["z_hidden"]
    columns["linear_predictor"] = predictor + effects.intercept[focality]
    columns["probability"] = expit(columns["linear_predictor"])
    return columns


def clinical_term(columns: Columns, *, effects: Effects) -> FloatArray:
    """What the four clinical variables add to the log odds, (patients,)."""
    total: FloatArray = effects.ki67_per_point * (columns["ki67_percent"] - KI67_CENTRE)
    for name, terms in (
        ("phenotype", effects.phenotype),
        ("er", effects.er),
        ("regimen", effects.regimen),
    ):
        total = total + np.array([terms[level] for level in columns[name]])
    return effects.clinical * total


def image_term(
    z_til: FloatArray, z_response: FloatArray, *, focality: str, effects: Effects
) -> FloatArray:
    """What the two traits that pictures show add to the log odds, (patients,)."""
    share = effects.multifocal_share if focality == "multifocal" else 1.0
    return share * (effects.til * z_til + effects.response * z_response)


def lymphocyte_fraction(z_til: float) -> float:
    """Share of the slide's tissue that lymphocytes cover: 2 % at -2, 7.5 % at 0, 26 % at +2."""
    return float(np.clip(0.075 * np.exp(0.63 * z_til), 0.004, 0.40))


def relative_diameter(z_response: float) -> float:
    """Lesion diameter at US-1 as a share of that at US-0: 1.06 at -2, 0.64 at 0, 0.22 at +2."""
    return float(1.08 - 0.88 * ndtr(z_response))


def is_visible_after(z_response: float) -> bool:
    """Whether a lesion is still seen, and outlined, at US-1."""
    return relative_diameter(z_response) >= INVISIBLE_BELOW


def echo_change_db(z_response: float) -> float:
    """How much brighter the lesion is at US-1, in dB: it turns into scar as it responds."""
    return float(7.0 * ndtr(z_response))


def strata(num_patients: int) -> list[tuple[str, int]]:
    """Focality and label of the first patients, a prefix of one endless sequence.

    Each next patient comes from the stratum that lags most behind its published share, so every
    prefix is close to proportional and every 596 patients are exact.
    """
    return list(islice(_stratum_sequence(), num_patients))


def effects_as_dict(effects: Effects) -> dict[str, Any]:
    """The effects as plain values, for `truth.json`."""
    return asdict(effects)


def _stratum_sequence() -> Iterator[tuple[str, int]]:
    """The endless sequence behind `strata`."""
    while True:
        made = dict.fromkeys(STRATA, 0)
        for position in range(1, BLOCK + 1):
            open_strata = [s for s, quota in STRATA.items() if made[s] < quota]
            lag = {s: position * STRATA[s] - BLOCK * made[s] for s in open_strata}
            chosen = max(open_strata, key=lag.__getitem__)
            made[chosen] += 1
            yield chosen


def _draw_clinical(rng: np.random.Generator, num: int) -> Columns:
    """All clinical variables, each (patients,)."""
    columns = _draw_receptors(rng, num)
    columns |= _draw_treatment(rng, columns["phenotype"])
    columns |= _draw_body(rng, num)
    columns |= _draw_extent(rng, num)
    return columns


def _draw_receptors(rng: np.random.Generator, num: int) -> Columns:
    """Phenotype, then receptors that agree with it, then Ki-67."""
    phenotype = _pick(rng, PHENOTYPE, num)
    is_hr = np.char.startswith(phenotype, "HR+")
    er = np.where(is_hr, _pick(rng, ER_IN_HR_POSITIVE, num), "negative")
    pr_drawn = np.where(rng.random(num) < PR_POSITIVE_SHARE, "positive", "negative")
    pr = np.where(is_hr & (er == "negative"), "positive", np.where(is_hr, pr_drawn, "negative"))
    low_share = np.array([HER2_LOW_SHARE.get(level, 0.0) for level in phenotype])
    her2 = np.where(rng.random(num) < low_share, "low", "negative")
    her2 = np.where(np.char.endswith(phenotype, "HER2+"), "positive", her2)
    mean = np.array([KI67_MEAN[level] for level in phenotype]) / 100
    ki67 = rng.beta(mean * KI67_CONCENTRATION, (1 - mean) * KI67_CONCENTRATION)
    ki67 = np.clip(np.round(100 * ki67), 1, 98)
    return {"phenotype": phenotype, "er": er, "pr": pr, "her2": her2, "ki67_percent": ki67}


def _draw_treatment(rng: np.random.Generator, phenotype: npt.NDArray[Any]) -> Columns:
    """Anti-HER2 drugs only in HER2-positive patients, rarely withheld."""
    num = len(phenotype)
    gets_anti = np.char.endswith(phenotype, "HER2+") & (rng.random(num) < ANTI_HER2_SHARE)
    return {"regimen": np.where(gets_anti, "anti-HER2", _pick(rng, OTHER_REGIMEN, num))}


def _draw_body(rng: np.random.Generator, num: int) -> Columns:
    """Age, body mass index, and menopause that follows age."""
    age = np.round(np.clip(rng.normal(53.0, 9.2, num), 24, 84))
    bmi = np.round(np.clip(rng.normal(24.9, 3.4, num), 16, 42), 1)
    is_post = rng.random(num) < expit((age - 47.8) / 1.8)
    return {"age_years": age, "bmi": bmi, "menopause": np.where(is_post, "post", "pre")}


def _draw_extent(rng: np.random.Generator, num: int) -> Columns:
    """Size, T stage that follows it (T4 at any size), nodes, stage, BI-RADS."""
    mean, sd = SIZE_MM
    size = np.round(np.clip(rng.gamma((mean / sd) ** 2, sd**2 / mean, num), 8, 75))
    t_stage = np.select([size <= 20, size <= 50], ["T1", "T2"], "T3")
    t_stage = np.where(rng.random(num) < 11 / 596, "T4", t_stage)
    nodes = np.where(rng.random(num) < 560 / 596, "positive", "negative")
    has_many_nodes = (nodes == "positive") & (rng.random(num) < 0.145)
    is_large = (t_stage == "T4") | ((t_stage == "T3") & (nodes == "positive"))
    return {
        "size_mm": size,
        "t_stage": t_stage,
        "nodes": nodes,
        "stage": np.where(is_large | has_many_nodes, "III", "I-II"),
        "bi_rads": _pick(rng, BI_RADS, num),
    }


def _pick(rng: np.random.Generator, counts: Mapping[str, int], num: int) -> npt.NDArray[Any]:
    """Levels drawn in proportion to counts, (patients,)."""
    edges = np.cumsum(list(counts.values())) / sum(counts.values())
    return np.array(list(counts))[np.searchsorted(edges, rng.random(num), side="right")]
