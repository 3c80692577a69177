"""What nobody else knows of simulated patients -> the files of `truth/`."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from neoresponse.durable import write_json, write_text
from neoresponse.phantom import oracle, tumour
from neoresponse.phantom.clinical import Columns
from neoresponse.settings import PhantomSettings

TRUTH_SCHEMA = "neoresponse.truth/2"
TRUTH, ORACLE = "truth.json", "oracle.csv"

Row = Mapping[str, str | float | int | None]


def write_truth(
    folder: Path,
    truths: Sequence[Row],
    settings: PhantomSettings,
    *,
    seed: int,
    masks: Mapping[str, str | int],
) -> None:
    """Write `truth.csv`, `truth.json` and `oracle.csv`.

    Args:
        folder: the folder `truth`.
        truths: one row per patient.
        settings: of the phantom.
        seed: of the phantom.
        masks: what each kind of mask shows.
    """
    effects = tumour.PRESETS[settings.preset]
    write_text(folder / "truth.csv", _csv(truths))
    write_text(folder / ORACLE, _csv(oracle_rows(truths, effects=effects)))
    content = {
        "schema": TRUTH_SCHEMA,
        "is_simulated": True,
        "seed": seed,
        "settings": settings.model_dump(mode="json"),
        "effects": asdict(effects),
        "masks": dict(masks),
    }
    write_json(folder / TRUTH, content)


def oracle_rows(truths: Sequence[Row], *, effects: tumour.Effects) -> list[Row]:
    """The best possible prediction for each patient from every set of inputs.

    Args:
        truths: rows of `truth.csv`.
        effects: the model from which the patients were drawn.

    Returns:
        One row per patient in the same order: id, label, and for each set of inputs the
        probability of pCR of one who sees all that they show.
    """
    best = {oracle.subset_name(subset): np.zeros(len(truths)) for subset in oracle.subsets()}
    is_multifocal = np.array([row["is_multifocal"] for row in truths], dtype=bool)
    for focality, chosen in (("unifocal", ~is_multifocal), ("multifocal", is_multifocal)):
        columns = _columns([row for row, is_one in zip(truths, chosen, strict=True) if is_one])
        for subset in oracle.subsets() if chosen.any() else ():
            best[oracle.subset_name(subset)][chosen] = oracle.best_probability(
                columns, subset, focality=focality, effects=effects
            )
    return [
        {"patient_id": row["patient_id"], "label": row["label"]}
        | {name: float(values[number]) for name, values in best.items()}
        for number, row in enumerate(truths)
    ]


def _columns(truths: Sequence[Row]) -> Columns:
    """What the oracle needs, as arrays."""
    names = [tumour.column_of(trait) for trait in tumour.TRAITS]
    names += ["is_visible_us_1", "diameter_after_mm", "echo_after_db"]
    columns: Columns = {name: np.array([row[name] for row in truths], float) for name in names}
    columns["cell"] = np.array([row["clinical_cell"] for row in truths], int)
    return columns


def _csv(rows: Sequence[Row]) -> str:
    """A table with a head."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
