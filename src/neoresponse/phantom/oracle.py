"""Simulated patients -> the best possible prediction from each set of inputs, and its AUC.

An input shows some hidden traits exactly. The best prediction from a set of inputs is
P(pCR | all that they show): Bayes' rule with the densities of tumour.py, summed over the clinical
cells where clinical values are not among the inputs, integrated over the response where US-1 is
seen without US-0. No network that gets these inputs can, on average, rank patients better.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import norm

from neoresponse.phantom import tumour
from neoresponse.phantom.clinical import SIZE_LAW, SIZE_RANGE_MM, Cells, Columns, make_cells
from neoresponse.phantom.tumour import Effects
from neoresponse.stats import delong_variance, placements
from neoresponse.types import FloatArray, IntArray, Modality

Subset = frozenset[Modality]
CHUNK = 512
"""Patients whose densities are held at once."""
GRID = np.linspace(-6.5, 6.5, 521)
"""Values of the response over which the integral runs."""


def subsets() -> list[Subset]:
    """All sets of inputs but the empty one, the smaller first; 15."""
    inputs = list(Modality)
    return [frozenset(few) for num in range(1, 5) for few in combinations(inputs, num)]


def subset_name(subset: Subset) -> str:
    """Inputs in their order, joined by `+`."""
    return "+".join(modality.value for modality in Modality if modality in subset)


def best_probability(
    columns: Columns, subset: Subset, *, focality: str, effects: Effects
) -> FloatArray:
    """P(pCR | what the inputs of a subset show).

    Args:
        columns: patients of one focality, as `tumour.draw_patients` gives them.
        subset: the inputs.
        focality: "unifocal" or "multifocal".
        effects: the model from which the patients were drawn.

    Returns:
        Probabilities, (patients,).
    """
    num = len(columns["cell"])
    parts = [
        _part(columns, slice(start, start + CHUNK), subset, focality=focality, effects=effects)
        for start in range(0, num, CHUNK)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def population_auc(
    rng: np.random.Generator, num_patients: int, *, focality: str, effects: Effects
) -> Mapping[Subset, tuple[float, float]]:
    """The best reachable AUC of every subset over a whole population, by Monte Carlo.

    Args:
        rng: source of randomness.
        num_patients: half of them with pCR; an AUC does not depend on that share.
        focality: "unifocal" or "multifocal".
        effects: the model.

    Returns:
        subset -> AUC and its standard error (DeLong).
    """
    halves = [
        tumour.draw_patients(rng, num_patients // 2, stratum=(focality, label), effects=effects)
        for label in (0, 1)
    ]
    columns = {name: np.concatenate([half[name] for half in halves]) for name in halves[0]}
    found = {}
    for subset in subsets():
        best = best_probability(columns, subset, focality=focality, effects=effects)
        placed = placements(columns["label"], best)
        found[subset] = (float(placed.auc or 0.0), float(np.sqrt(delong_variance(placed) or 0.0)))
    return found


def _part(
    columns: Columns, rows: slice, subset: Subset, *, focality: str, effects: Effects
) -> FloatArray:
    """`best_probability` of some patients."""
    part = {name: values[rows] for name, values in columns.items()}
    own = part["cell"] if Modality.CLINICAL in subset else None
    view = _View(part, own, focality, effects)
    share = tumour.cell_share(view.cells, focality=focality, effects=effects)
    density = _by_patient(share, own)
    if shown := list(_log_densities(view, subset)):
        total = sum(shown[1:], start=shown[0])
        density = density * np.exp(total - total.max(axis=(1, 2), keepdims=True))
    prior = tumour.PCR_SHARE[focality]
    weight = density.sum(axis=2) * [1 - prior, prior]
    best: FloatArray = weight[:, 1] / weight.sum(axis=1)
    return best


@dataclass(frozen=True)
class _View:
    """Patients of one focality, and whether their clinical cells are seen.

    Attributes:
        part: the patients' columns.
        own: each patient's cell, (patients,); None where any cell is possible.
        focality: theirs.
        effects: the model.
    """

    part: Columns
    own: IntArray | None
    focality: str
    effects: Effects

    @property
    def cells(self) -> Cells:
        """All clinical cells."""
        return make_cells(self.effects.clinical_strength)

    def means(self, trait: str) -> tuple[FloatArray, float]:
        """Mean of a trait by patient, outcome and cell, (1 or patients, 2, cells); its spread."""
        means, sd = tumour.trait_means(
            self.cells, trait, focality=self.focality, effects=self.effects
        )
        return _by_patient(means, self.own), sd

    def exact(self, trait: str) -> FloatArray:
        """Log density of a trait that is seen, up to a constant, (patients, 2, cells)."""
        means, sd = self.means(trait)
        seen = self.part[tumour.column_of(trait)][:, None, None]
        log_density: FloatArray = -0.5 * ((seen - means) / sd) ** 2
        return log_density


def _by_patient(by_cell: FloatArray, own: IntArray | None) -> FloatArray:
    """(2, cells) -> (1, 2, cells), or where cells are seen (patients, 2, 1)."""
    return by_cell[None] if own is None else by_cell[:, own].T[:, :, None]


def _log_densities(view: _View, subset: Subset) -> Iterator[FloatArray]:
    """Log density of all that the images show, given outcome and cell; (patients, 2, cells)."""
    is_seen = view.part["is_visible_us_1"].astype(bool)[:, None, None]
    if Modality.BIOPSY in subset:
        yield view.exact("lymphocytes")
        yield view.exact("proliferation")
    if Modality.BIOPSY in subset or Modality.US_0 in subset:
        yield view.exact("stroma")
    elif Modality.US_1 in subset:
        yield np.where(is_seen, view.exact("stroma"), 0.0)
    if Modality.US_0 in subset:
        yield view.exact("margin")
    elif Modality.US_1 in subset:
        yield np.where(is_seen, view.exact("margin"), 0.0)
    if Modality.US_1 in subset:
        means, sd = view.means("response")
        gone = norm.logsf((tumour.LARGEST_VISIBLE_RESPONSE - means) / sd)
        both = Modality.US_0 in subset
        yield np.where(is_seen, view.exact("response") if both else _after_alone(view), gone)


def _after_alone(view: _View) -> FloatArray:
    """Log density of a lesion's size and brightness at US-1, where US-0 is not seen.

    The integral over the response z of p(z) p(size / shrinkage(z)) p(echo - change(z)).
    """
    shrinkage = tumour.relative_diameter(GRID)
    before_mm = view.part["diameter_after_mm"][:, None] / shrinkage
    is_possible = (before_mm >= SIZE_RANGE_MM[0]) & (before_mm <= SIZE_RANGE_MM[1])
    size = SIZE_LAW.pdf(before_mm) / shrinkage * is_possible
    echo_db = view.part["echo_after_db"][:, None] - tumour.echo_change_db(GRID)
    fit = size * norm.pdf(echo_db / tumour.BASELINE_ECHO_SD_DB)  # (patients, values)
    means, sd = view.means("response")
    trait = np.exp(
        -0.5 * ((GRID - means[..., None]) / sd) ** 2
    )  # (1 or patients, 2, cells, values)
    if view.own is None:  # all patients have the same cells: one product of matrices
        total = (fit @ trait.reshape(-1, GRID.size).T).reshape(len(fit), 2, -1)
    else:
        total = np.einsum("pv,plcv->plc", fit, trait)
    log_density: FloatArray = np.log(np.maximum(total, 1e-300))
    return log_density
