"""Seed + preset -> simulated patients: outcome, clinical values, and the tumour's hidden traits.

Five traits are what pictures show. Given the outcome and the four clinical variables of a model
they are independent and normal with variance one, so the log odds of pCR are linear in them and
every best possible prediction is known (oracle.py). Equations: docs/explanation/phantom.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.special import expit, ndtr

from neoresponse.cohort.dictionary import CLINICAL
from neoresponse.phantom.clinical import Cells, Columns, draw_clinical, make_cells, pooled_share
from neoresponse.types import FloatArray

STRATA: Mapping[tuple[str, int], int] = {
    ("unifocal", 0): 359,
    ("unifocal", 1): 132,
    ("multifocal", 0): 82,
    ("multifocal", 1): 23,
}
"""(focality, label) -> patients in the published cohort (Guo 2024, Table 1)."""
BLOCK = sum(STRATA.values())
PCR_SHARE = {"unifocal": 132 / 491, "multifocal": 23 / 105}
TRAITS = ("lymphocytes", "proliferation", "stroma", "margin", "response")
"""Of the tumour: lymphocyte density, cell growth, fibrous tissue, how it grows into what is around
it (low: smooth, high: spiculated); and its answer to two cycles."""
LARGEST_VISIBLE_RESPONSE = 1.49
"""Response above which the lesion, now 0.26 of its first diameter, is no longer seen at US-1."""


@dataclass(frozen=True)
class Source:
    """What moves the mean of a trait, in its standard deviations within patients who are alike.

    Attributes:
        outcome: from residual disease to pCR.
        clinical: per standard deviation of what the four clinical variables say of the outcome.
        ki67: per standard deviation of Ki-67.
    """

    outcome: float = 0.0
    clinical: float = 0.0
    ki67: float = 0.0


@dataclass(frozen=True)
class Effects:
    """How outcome, clinical values and traits hang together.

    Attributes:
        traits: one entry per trait; what is not named hangs on nothing.
        clinical_strength: 1 gives Table 1; 0 makes clinical values say nothing.
        focus_share: factor on every mean of a multifocal tumour: pictures show one focus, the
            outcome follows all.
        mixed_share: of multifocal patients, those whose clinical values were measured on a focus
            that says nothing about the others.
    """

    traits: Mapping[str, Source]
    clinical_strength: float = 1.0
    focus_share: float = 0.53
    mixed_share: float = 0.1


PRESETS: Mapping[str, Effects] = {
    "guo2024": Effects(
        {
            "lymphocytes": Source(outcome=0.34, clinical=0.25),
            "proliferation": Source(ki67=0.5),
            "stroma": Source(outcome=-0.1, clinical=-0.2),
            "margin": Source(outcome=-0.15, clinical=-0.25),
            "response": Source(outcome=0.7, clinical=0.6),
        }
    ),
    "easy": Effects(
        {
            "lymphocytes": Source(outcome=1.6),
            "proliferation": Source(ki67=0.5),
            "response": Source(outcome=2.6),
        },
        clinical_strength=0.35,
    ),
    "null": Effects({}),
    "clinical-only": Effects({}, clinical_strength=2.0),
}


@dataclass(frozen=True)
class SimulatedPatient:
    """A patient before any picture is drawn; what nobody can see has names of its own.

    Attributes:
        patient_id: the id in every file.
        is_multifocal: whether the tumour has several foci.
        label: 1 for pCR, 0 for residual disease.
        clinical: our variable name -> level or number, all of them.
        clinical_cell: number of the four values among the cells of clinical.py.
        diameter_mm: the tumour's longest diameter, exactly.
        baseline_echo_db: the lesion's brightness at US-0 beside that of other lesions.
        traits: name -> value, near standard normal in the population; what pictures show.
        log_odds: of pCR, for one who sees the four clinical variables and all traits.
    """

    patient_id: str
    is_multifocal: bool
    label: int
    clinical: Mapping[str, str | float]
    clinical_cell: int
    diameter_mm: float
    baseline_echo_db: float
    traits: Mapping[str, float]
    log_odds: float


BASELINE_ECHO_SD_DB = 2.0


def draw_patient(
    rng: np.random.Generator, *, index: int, stratum: tuple[str, int], effects: Effects
) -> SimulatedPatient:
    """Draw one patient of a given focality and outcome.

    Args:
        rng: source of this patient's randomness.
        index: number of the patient, from 0.
        stratum: focality and label that the patient must have.
        effects: how everything hangs together.
    """
    focality, label = stratum
    drawn = draw_patients(rng, 1, stratum=stratum, effects=effects)
    row = {name: values[0].item() for name, values in drawn.items()}
    return SimulatedPatient(
        patient_id=f"P{index + 1:04d}",
        is_multifocal=focality == "multifocal",
        label=label,
        clinical={name: row[name] for name in CLINICAL},
        clinical_cell=row["cell"],
        diameter_mm=row["diameter_mm"],
        baseline_echo_db=row["baseline_echo_db"],
        traits={trait: row[column_of(trait)] for trait in TRAITS},
        log_odds=row["log_odds"],
    )


def column_of(trait: str) -> str:
    """The column of a trait: `z_` and its name."""
    return f"z_{trait}"


def draw_patients(
    rng: np.random.Generator, num: int, *, stratum: tuple[str, int], effects: Effects
) -> Columns:
    """Draw patients of one focality and outcome.

    Drawing outcome first and all else given the outcome is the same joint distribution as drawing
    all else first and the outcome from `log_odds`: Bayes' rule. It needs no rejection.

    Returns:
        The clinical variables, `diameter_mm`, `baseline_echo_db`, `cell` (number among the clinical
        cells), one column per trait, `log_odds` and `label`, each (patients,).
    """
    focality, label = stratum
    cells = make_cells(effects.clinical_strength)
    share = cell_share(cells, focality=focality, effects=effects)
    edges = np.cumsum(share[label])
    cell = np.searchsorted(edges, rng.random(num) * edges[-1], side="right")
    columns = draw_clinical(rng, cells, cell, label)
    columns["baseline_echo_db"] = rng.normal(0, BASELINE_ECHO_SD_DB, num)
    noise = rng.standard_normal((len(TRAITS), num))
    for trait, own in zip(TRAITS, noise, strict=True):
        means, sd = trait_means(cells, trait, focality=focality, effects=effects)
        columns[column_of(trait)] = means[label, cell] + sd * own
    columns["cell"] = cell
    columns["label"] = np.full(num, label)
    response = columns[column_of("response")]
    columns["is_visible_us_1"] = response <= LARGEST_VISIBLE_RESPONSE
    columns["diameter_after_mm"] = columns["diameter_mm"] * relative_diameter(response)
    columns["echo_after_db"] = columns["baseline_echo_db"] + echo_change_db(response)
    columns["log_odds"] = log_odds(columns, focality=focality, effects=effects)
    return columns


def cell_share(cells: Cells, *, focality: str, effects: Effects) -> FloatArray:
    """Probability of each clinical cell without and with pCR, (2, cells)."""
    if focality == "unifocal":
        return cells.share
    mixed = effects.mixed_share
    return (1 - mixed) * cells.share + mixed * pooled_share(cells.share)


def trait_means(
    cells: Cells, trait: str, *, focality: str, effects: Effects
) -> tuple[FloatArray, float]:
    """Mean of a trait without and with pCR in each clinical cell, and its spread around it.

    Both are scaled so that the trait has mean 0 and standard deviation 1 over unifocal patients.

    Returns:
        Means, (2, cells), and the standard deviation, the same everywhere.
    """
    source = effects.traits.get(trait, Source())
    labels = np.array([[0.0], [1.0]])
    raw = source.outcome * labels + source.clinical * cells.clinical_odds + source.ki67 * cells.ki67
    prior = PCR_SHARE["unifocal"]
    weights = np.array([[1 - prior], [prior]]) * cells.share
    raw = raw - np.sum(weights * raw)
    sd = 1 / np.sqrt(1 + np.sum(weights * raw**2))
    share = effects.focus_share if focality == "multifocal" else 1.0
    return share * sd * raw, float(sd)


def log_odds(columns: Columns, *, focality: str, effects: Effects) -> FloatArray:
    """Log odds of pCR of one who sees the four clinical variables and all traits, (patients,).

    Linear in each trait: prior + log ratio of the cell + sum of (m1 - m0) (z - (m1 + m0) / 2) / s².
    """
    cells, cell = make_cells(effects.clinical_strength), columns["cell"]
    share = cell_share(cells, focality=focality, effects=effects)[:, cell]
    prior = PCR_SHARE[focality]
    total: FloatArray = np.log(prior / (1 - prior)) + np.log(share[1] / share[0])
    for trait in TRAITS:
        means, sd = trait_means(cells, trait, focality=focality, effects=effects)
        without, with_pcr = means[:, cell]
        middle = (without + with_pcr) / 2
        total = total + (with_pcr - without) * (columns[column_of(trait)] - middle) / sd**2
    return total


def probability(log_odds: FloatArray) -> FloatArray:
    """Probability of pCR from its log odds, (patients,)."""
    chance: FloatArray = expit(log_odds)
    return chance


def lymphocyte_fraction(z: float) -> float:
    """Share of the slide's tissue that lymphocytes cover: 2 % at -2, 7.5 % at 0, 26 % at +2."""
    return float(np.clip(0.075 * np.exp(0.63 * z), 0.004, 0.40))


def stroma_share(z: float) -> float:
    """Share of the tissue that is fibrous: 0.26 at -2, 0.5 at 0, 0.74 at +2."""
    return float(0.25 + 0.5 * ndtr(z))


def nuclear_growth(z: float) -> float:
    """Diameter of tumour nuclei relative to the usual: 0.87 at -2, 1 at 0, 1.13 at +2."""
    return float(1 + 0.27 * (ndtr(z) - 0.5))


def shadow_db_per_mm(z: float) -> float:
    """What a mm of lesion costs the echo beyond it: from -0.3 (enhancement) to 0.4 dB."""
    return float(-0.3 + 0.7 * ndtr(z))


def spiculation(z: float) -> float:
    """The lesion's margin, from 0 for smooth and lobulated to 1 for spiculated."""
    return float(ndtr(z))


def relative_diameter(z: FloatArray) -> FloatArray:
    """Lesion diameter at US-1 as a share of that at US-0: 1.06 at -2, 0.64 at 0, 0.22 at +2."""
    ratio: FloatArray = 1.08 - 0.88 * ndtr(z)
    return ratio


def echo_change_db(z: FloatArray) -> FloatArray:
    """How much brighter the lesion is at US-1, in dB: it turns into scar as it responds."""
    change: FloatArray = 7.0 * ndtr(z)
    return change


def strata(num_patients: int) -> list[tuple[str, int]]:
    """Focality and label of the first patients, a prefix of one endless sequence.

    Each next patient comes from the stratum that lags most behind its published share, so every
    prefix is close to proportional and every 596 patients are exact.
    """
    return list(islice(_stratum_sequence(), num_patients))


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
