"""Losses and gradients of the steps, read many at a time, and stopped at where they are no numbers.

Reading one waits until the device has computed it. Read at each step, a GPU would stand idle while
the next one is queued.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from neoresponse.errors import RunError

READ_EVERY = 32
"""Steps are read from the device so many at a time."""
_NEXT = "Lower train.learning_rate, set train.clip_norm, or look at these images."


class Readings:
    """Sums over the steps of an epoch so far, and the steps that were not read yet."""

    def __init__(self, *, epoch: int, loss: float, norm: float) -> None:
        """Go on from sums that were saved.

        Args:
            epoch: for messages.
            loss: sum of the losses of all samples so far.
            norm: sum of the gradient norms of all steps so far.
        """
        self.loss, self.norm = loss, norm
        self._epoch = epoch
        self._unread: list[tuple[Tensor, Tensor, tuple[str, ...]]] = []
        self._seen: dict[str, None] = {}

    def add(self, losses: Tensor, norm: Tensor, patient_ids: Sequence[str]) -> None:
        """Take in a step: the loss of each of its samples, and the norm of its gradients."""
        self._unread.append((losses, norm, tuple(patient_ids)))
        if len(self._unread) >= READ_EVERY:
            self.read()

    def read(self) -> None:
        """Bring the sums up to the last step.

        Raises:
            RunError: a loss or a gradient is not finite; it names the patients of the first such.
        """
        if not self._unread:
            return
        steps, self._unread = self._unread, []
        norms = torch.stack([norm for _, norm, _ in steps]).tolist()
        values = iter(torch.cat([losses for losses, _, _ in steps]).tolist())
        for norm, (_, _, patient_ids) in zip(norms, steps, strict=True):
            losses = [next(values) for _ in patient_ids]
            self._refuse(losses, norm, patient_ids)
            self.loss += sum(losses)
            self.norm += norm
            self._seen.update(dict.fromkeys(patient_ids))

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Read, then refuse tensors that are not finite: nothing of the kind is ever saved.

        Raises:
            RunError: as `read`, or names the first such tensor and whose steps came before.
        """
        self.read()
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise RunError(
                    f"epoch {self._epoch}: expected finite numbers in {name}, got others after "
                    f"steps with patients {_named(self._seen)}. {_NEXT}"
                )
        self._seen = {}

    def end_epoch(self) -> None:
        """The next epoch starts from nothing."""
        self.loss = self.norm = 0.0

    def _refuse(self, losses: Sequence[float], norm: float, patient_ids: Sequence[str]) -> None:
        """Stop at a step that is not finite."""
        of_patient = list(zip(patient_ids, losses, strict=True))
        lost = [pair for pair in of_patient if not math.isfinite(pair[1])]
        if lost:
            raise RunError(
                f"epoch {self._epoch}: expected a finite loss, got {lost[0][1]} for "
                f"patients {_named(name for name, _ in lost)}. {_NEXT}"
            )
        if not math.isfinite(norm):
            raise RunError(
                f"epoch {self._epoch}: expected finite gradients, got a norm of {norm} in a step "
                f"with patients {_named(patient_ids)}. {_NEXT}"
            )


def _named(patient_ids: Iterable[str]) -> str:
    """Each patient once, by name."""
    return ", ".join(sorted(set(patient_ids)))
