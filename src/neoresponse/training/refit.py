"""Run folder + store -> whether what was fitted is what training patients alone give.

Standardisation and clinical encoding are fitted once more, on the training patients of the run's
split, and held against those in its model bundle.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neoresponse.cohort.split import Assignment, read_split
from neoresponse.contracts.bundle import ClinicalEncoding, Standardisation
from neoresponse.models.checkpoint import load_bundle
from neoresponse.preprocess.rows import patients_of
from neoresponse.preprocess.store import Store
from neoresponse.training.fit import fit_preprocessing
from neoresponse.training.run import MODEL, is_trained_on

TOLERANCE = 1e-6
PARTS = ("train", "validation", "test")


def fitted_on(run: Path, store: Store) -> str | None:
    """On whom standardisation and encoding of a run were fitted, where not on training patients.

    Args:
        run: a finished run folder.
        store: the prepared store.

    Returns:
        None where training patients alone give them, or where the run was trained on another
        store; else in words on whom they seem to be fitted.

    Raises:
        RunError: a file of the run is broken.
    """
    if not is_trained_on(run, store):
        return None
    card, _ = load_bundle(run / MODEL)
    assignments = read_split(run)
    stated = _content(card.input.standardisation, card.input.clinical)
    groups = {
        "training patients": PARTS[:1],
        "training and validation patients": PARTS[:2],
        "all patients": PARTS,
    }
    for name, parts in groups.items():
        if _is_close(stated, _fit(store, assignments, parts)):
            return None if name == "training patients" else name
    return "others than the training patients"


def _fit(store: Store, assignments: Sequence[Assignment], parts: Sequence[str]) -> Any:  # noqa: ANN401
    """What patients of some parts give, as it stands in a model card."""
    chosen = [pair for part in parts for pair in patients_of(store, assignments, part)]
    encoder, standardisation = fit_preprocessing(store, chosen)
    return _content(standardisation, encoder)


def _content(standardisation: Standardisation, clinical: ClinicalEncoding) -> Any:  # noqa: ANN401
    """Both as plain numbers in nested tables."""
    return [standardisation.model_dump(mode="json"), clinical.model_dump(mode="json")]


def _is_close(one: Any, two: Any) -> bool:  # noqa: ANN401 (any JSON value)
    """Whether two JSON values have the same shape and nearly the same numbers."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return one.keys() == two.keys() and all(_is_close(one[k], two[k]) for k in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_is_close, one, two))
    return bool(np.isclose(one, two, rtol=TOLERANCE, atol=TOLERANCE))
