"""The processes that train one network together, as `torchrun` starts them; by default one alone.

Each takes its share of a step's samples; the gradients are added up over all, so that a step is the
same however many they are. Only the first writes files. Why no DistributedDataParallel:
docs/explanation/decisions.md.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from neoresponse.errors import Followed, NeoresponseError, RunError
from neoresponse.types import FloatArray

_PIECE_BYTES = 2**28


@dataclass(frozen=True)
class Team:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0; the first one writes and speaks.
        size: how many they are, on all machines.
        local_size: how many share this machine.
    """

    rank: int = 0
    size: int = 1
    local_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def share(self, batch_size: int) -> range:
        """Which samples of a batch are this process's, counted from the batch's first.

        It does not depend on how full the batch is, so that processes divide it as `micro_batch`
        would; of the last, smaller batch some may have nothing.
        """
        num = self.largest_share(batch_size)
        return range(self.rank * num, min((self.rank + 1) * num, batch_size))

    def largest_share(self, batch_size: int) -> int:
        """How many samples of a batch one process shows at most."""
        return -(-batch_size // self.size)

    def add_up(self, model: nn.Module, losses: Tensor) -> None:
        """Add up gradients and losses over all processes, in place; all get the same bytes.

        Args:
            model: with the gradients of this process's samples; without any where it had none.
            losses: of a batch's samples, 0 where they are another's, (batch,).
        """
        if self.size == 1:
            return
        parameters = list(model.parameters())
        # A parameter that no sample reached keeps no gradient: an optimiser would decay it.
        is_reached = torch.tensor([p.grad is not None for p in parameters], dtype=torch.uint8)
        self._reduce(is_reached, dist.ReduceOp.MAX)
        reached = [p for p, is_it in zip(parameters, is_reached.tolist(), strict=True) if is_it]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in reached]
        flat = torch.cat([part.flatten() for part in (*parts, losses)])
        self._reduce(flat, dist.ReduceOp.SUM)
        *gradients, summed = torch.split(flat, [part.numel() for part in (*parts, losses)])
        for parameter, gradient in zip(reached, gradients, strict=True):
            parameter.grad = gradient.view_as(parameter)
        losses.copy_(summed)

    def most(self, number: int) -> int:
        """The largest of a number that each process names."""
        if self.size == 1:
            return number
        return self._extreme(number, dist.ReduceOp.MAX)

    def take_over(self, tensors: Iterable[Tensor]) -> None:
        """All get the first's tensors, in place."""
        if self.size > 1:
            for tensor in tensors:
                self._broadcast(tensor)

    def of_first(self, content: Any) -> Any:  # noqa: ANN401 (any JSON value)
        """All get the JSON value that the first has."""
        if self.size == 1:
            return content
        text = json.dumps(content).encode() if self.is_first else None
        return json.loads(self.bytes_of_first(text) or b"null")

    def bytes_of_first(self, content: bytes | None) -> bytes | None:
        """All get the bytes that the first has, or None where it has none; others give None."""
        if self.size == 1:
            return content
        length = torch.tensor([-1 if content is None else len(content)])
        self._broadcast(length)
        if length.item() < 0:
            return None
        whole = np.zeros(int(length.item()), dtype=np.uint8)
        if content is not None:
            whole[:] = np.frombuffer(content, dtype=np.uint8)
        self.take_over(torch.split(torch.from_numpy(whole), _PIECE_BYTES))
        return whole.tobytes() if content is None else content

    def deal(
        self, call: Callable[[Sequence[int]], FloatArray], rows: Sequence[int], *, num: int
    ) -> FloatArray:
        """Results of a call for some rows, whole groups of `num` of them dealt out to processes.

        Args:
            call: rows -> one number each, float64, (rows,); it works on groups of `num`.
            rows: all of them.
            num: rows of a group.

        Returns:
            float64, (rows,), the same bytes as of one call.
        """
        if self.size == 1:
            return call(rows)
        mine = [place for place in range(len(rows)) if place // num % self.size == self.rank]
        whole = torch.zeros(len(rows), dtype=torch.float64)
        with self.together():
            whole[mine] = torch.from_numpy(call([rows[place] for place in mine]))
        self._reduce(whole, dist.ReduceOp.SUM)
        return whole.numpy()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Where one process fails inside, all end after it, and one of those that failed says why.

        Inside, nothing may be exchanged with others.
        """
        if self.size == 1:
            yield
            return
        failed: NeoresponseError | None = None
        try:
            yield
        except NeoresponseError as error:
            failed = error
        speaker = self._extreme(self.rank if failed else self.size, dist.ReduceOp.MIN)
        if failed is not None and speaker == self.rank:
            raise failed
        if speaker < self.size:
            raise Followed(failed.exit_code if failed else 1) from failed

    @contextmanager
    def alike(self) -> Iterator[None]:
        """An error that rises inside in all processes alike is said by the first alone."""
        try:
            yield
        except NeoresponseError as error:
            if self.is_first:
                raise
            raise Followed(error.exit_code) from error

    def _extreme(self, number: int, which: dist.ReduceOp.RedOpType) -> int:
        """The largest or smallest of a number that each process names."""
        told = torch.tensor([number])
        self._reduce(told, which)
        return int(told.item())

    def _reduce(self, tensor: Tensor, how: dist.ReduceOp.RedOpType) -> None:
        """Put all processes' tensors together, in place."""
        with self._lost():
            dist.all_reduce(tensor, op=how)

    def _broadcast(self, tensor: Tensor) -> None:
        """Take over the first's tensor, in place."""
        with self._lost():
            dist.broadcast(tensor, src=0)

    @contextmanager
    def _lost(self) -> Iterator[None]:
        """Say that another process has gone, and once."""
        try:
            yield
        except RuntimeError as error:
            if not self.is_first:
                raise Followed(1) from error
            raise RunError(
                f"process 0 of {self.size}: expected all processes of this training to keep "
                "running, got one that ended; its own message, if any, is printed too. Run the "
                "same command again to continue from the last saved state."
            ) from error


ALONE = Team()
_CURRENT: ContextVar[Team] = ContextVar("team", default=ALONE)


def current_team() -> Team:
    """The team of this process; alone outside `open_team`."""
    return _CURRENT.get()


@contextmanager
def open_team() -> Iterator[Team]:
    """Inside, the processes that `torchrun` started are a team; without it, this one is alone.

    Numbers are exchanged over gloo between processors and over NCCL between GPUs; each process of
    a machine takes a GPU of its own.

    Raises:
        RunError: there are more processes than GPUs, or no connection comes about.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    _join()
    local_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    team = Team(dist.get_rank(), size, local_size)
    token = _CURRENT.set(team)
    try:
        yield team
    finally:
        _CURRENT.reset(token)
        dist.destroy_process_group()


def _join() -> None:
    """Connect to the other processes."""
    backend = "gloo"
    if torch.cuda.is_available():
        local_rank, num_gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local_rank >= num_gpus:
            raise RunError(
                f"torchrun: expected at most one process per GPU, {num_gpus} here, got "
                f"{os.environ.get('LOCAL_WORLD_SIZE', 'more')}. Start fewer, or set "
                "CUDA_VISIBLE_DEVICES= to train on processors."
            )
        torch.cuda.set_device(local_rank)  # from here on "cuda" is this one
        backend = "cpu:gloo,cuda:nccl"
    try:
        dist.init_process_group(backend)
    except (RuntimeError, ValueError) as error:
        raise RunError(
            f"torchrun: expected to reach the other processes, got {type(error).__name__}: "
            f"{str(error).splitlines()[0]}. Start all of them with torchrun, with the same "
            "--rdzv-endpoint."
        ) from error
