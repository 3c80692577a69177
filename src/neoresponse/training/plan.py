"""What an epoch shows, in which order: it follows from seed and epoch, and needs no saving."""

import csv
import io
from dataclasses import dataclass

import numpy as np

from neoresponse.data.augment import Samples
from neoresponse.data.variation import Variation, draw_variation
from neoresponse.settings import TrainSettings
from neoresponse.types import FloatArray, IntArray

ORDER, STEP, VARY = 1, 2, 3
"""Names of the random streams: order and patches, a step's own draws, variation."""


@dataclass(frozen=True)
class EpochPlan:
    """The samples that an epoch shows, all (shown,).

    Attributes:
        chosen: which sample.
        patches: which patch of its biopsy.
        variation: how it is changed, or None.
    """

    chosen: IntArray
    patches: IntArray
    variation: Variation | None

    def __len__(self) -> int:
        return len(self.chosen)

    def part(self, start: int, num: int) -> "EpochPlan":
        """Some of them, one after the other."""
        some = slice(start, start + num)
        variation = None if self.variation is None else self.variation.part(some)
        return EpochPlan(self.chosen[some], self.patches[some], variation)

    def to_csv(self) -> str:
        """The record of the epoch, one shown sample a line."""
        columns: dict[str, IntArray | FloatArray] = {
            "sample": self.chosen,
            "patch": self.patches,
            **(self.variation.columns() if self.variation is not None else {}),
        }
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
        return text.getvalue()


@dataclass(frozen=True)
class Drawn:
    """What plans are drawn from.

    Attributes:
        samples: all training samples.
        label: of each sample's patient, (samples,).
        num_patches: of a biopsy.
        seed: the run's.
    """

    samples: Samples
    label: IntArray
    num_patches: int
    seed: int


def draw_plan(drawn: Drawn, settings: TrainSettings, *, epoch: int) -> EpochPlan:
    """Draw what an epoch shows."""
    rng = np.random.default_rng([drawn.seed, ORDER, epoch])
    num = len(drawn.samples)
    if settings.sampling == "weighted":
        chosen = rng.choice(num, size=num, p=class_weights(drawn.label))
    else:
        chosen = rng.permutation(num)
    patches = rng.integers(drawn.num_patches, size=num)
    if not settings.vary.is_on:
        return EpochPlan(chosen, patches, None)
    more = np.random.default_rng([drawn.seed, VARY, epoch])
    return EpochPlan(chosen, patches, draw_variation(num, settings.vary, rng=more))


def class_weights(label: IntArray) -> FloatArray:
    """The chance of each sample, so that both classes are drawn equally often, (samples,)."""
    num_pcr = int(np.sum(label == 1))
    of_class = {1: num_pcr, 0: len(label) - num_pcr}
    weights = np.array([1 / of_class[int(value)] for value in label])
    weights /= weights.sum()
    return weights


def step_seed(seed: int, *, epoch: int, step: int, first: int = 0) -> int:
    """A seed for torch's generators at one step: dropped paths and speckle follow from it.

    Args:
        seed: the run's.
        epoch: counted from 0.
        step: of the epoch.
        first: where a part of the step's samples is shown at a time: its first one's place.
    """
    of_part = (first,) if first else ()
    drawn = np.random.SeedSequence([seed, STEP, epoch, step, *of_part]).generate_state(1, np.uint64)
    return int(drawn[0] >> 1)
