"""Split + prepared store -> rows of the store and labels of the patients of one part."""

from collections.abc import Sequence

from neoresponse.cohort.split import Assignment
from neoresponse.errors import RunError
from neoresponse.preprocess.store import Store


def patients_of(
    store: Store, assignments: Sequence[Assignment], split: str
) -> list[tuple[int, int]]:
    """Store row and label of the patients of one part of the split, in the split's order.

    Raises:
        RunError: one of them is not in the store.
    """
    pairs = []
    for assignment in assignments:
        if assignment.split != split:
            continue
        if assignment.patient_id not in store.row_of:
            raise RunError(
                f"{assignment.patient_id}: expected every patient of the split in the prepared "
                "store, got none of this name. Prepare the cohort that was split."
            )
        pairs.append((store.row_of[assignment.patient_id], assignment.label))
    return pairs
