"""Where arrays enter: as plain float64, never with a mask that a later step would drop."""

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def plain(values: npt.ArrayLike, name: str) -> Doubles:
    """Numbers as float64; `name` is that of the argument.

    Raises:
        ValueError: as `refuse_masked`.
    """
    refuse_masked(values, name)
    return np.asarray(values, dtype=np.float64)


def refuse_masked(values: npt.ArrayLike, name: str) -> None:
    """Stop on an array, or a list of arrays, with masked values.

    Raises:
        ValueError: a value is masked; NumPy would go on with the number behind the mask.
    """
    parts = values if isinstance(values, list | tuple) else [values]
    num = sum(int(np.sum(one.mask)) for one in parts if isinstance(one, np.ma.MaskedArray))
    if num:
        raise ValueError(
            f"{name}: expected numbers without a mask, got {num} masked. Leave these patients out."
        )
