"""Reference files of the network: reading them, and comparing an array with ours."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Arrays = dict[str, Any]
State = dict[str, Tensor]


class UnknownFileError(Exception):
    """A file that this script cannot check."""


@dataclass(frozen=True)
class Check:
    """The largest error of one array.

    Attributes:
        array: its name in the file.
        error: largest absolute difference; where `is_relative`, as a share of the largest
            reference value; infinite where the shapes differ.
        tolerance: what is allowed.
        is_relative: whether `error` is relative.
    """

    array: str
    error: float
    tolerance: float
    is_relative: bool = False

    @property
    def is_ok(self) -> bool:
        """Whether the error is within tolerance; NaN is not."""
        return self.error <= self.tolerance


def read(path: Path) -> Arrays:
    """All arrays of a file; `meta` holds its JSON."""
    with np.load(path, allow_pickle=False) as file:
        arrays: Arrays = {key: file[key] for key in file.files}
    if "meta_json" not in arrays:
        raise UnknownFileError(f"expected an array `meta_json`, got {sorted(arrays)[:5]}")
    return {**arrays, "meta": json.loads(bytes(arrays["meta_json"]))}


def compared(array: str, ours: Tensor, expected: Any, *, tolerance: float) -> Check:  # noqa: ANN401
    """The largest absolute difference."""
    return Check(array, _difference(ours, expected), tolerance)


def relative(array: str, ours: Tensor, expected: Any, *, tolerance: float) -> Check:  # noqa: ANN401
    """The largest difference as a share of the largest reference value."""
    largest = float(np.abs(expected.astype(np.float64)).max())
    error = _difference(ours, expected)
    return Check(array, error / largest if largest else error, tolerance, is_relative=True)


def _difference(ours: Tensor, expected: Any) -> float:  # noqa: ANN401 (numpy is not typed here)
    """Largest absolute difference; infinite between different shapes."""
    if tuple(ours.shape) != expected.shape:
        return float("inf")
    difference = ours.detach().double().numpy() - expected.astype(np.float64)
    return float(np.abs(difference).max())


def tensor(arrays: Arrays, key: str) -> Tensor:
    """An array as float32."""
    return torch.from_numpy(arrays[key].astype(np.float32))
