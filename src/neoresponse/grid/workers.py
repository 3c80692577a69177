"""How many trainings at once on this machine, and how many processor threads each.

It follows from the study and the machine alone, not from what is left to do or free just now: with
other threads sums are rounded otherwise, and a study that goes on must give the same bytes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from neoresponse.settings import ComputeSettings, RunSettings
from neoresponse.training.memory import at_once, estimate_memory, total_bytes

PROCESS_BYTES = 2**29
"""What a process takes before its first tensor."""
USABLE = 0.8
"""Share of the memory that trainings may take together."""


@dataclass(frozen=True)
class Workers:
    """How trainings share a machine.

    Attributes:
        num: at once.
        num_threads: of each, where a run does not name its own.
        has_gpus: whether each has a GPU for itself.
    """

    num: int
    num_threads: int
    has_gpus: bool = False


def choose_workers(compute: ComputeSettings, runs: Sequence[RunSettings]) -> Workers:
    """As many as GPUs; or as cores, memory and runs allow.

    Args:
        compute: where `workers` is named, that many.
        runs: settings of every run of the study, finished or not.
    """
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    num_cores = num_cores or 1
    num_gpus = torch.cuda.device_count()
    if num_gpus and any(run.train.device != "cpu" for run in runs):
        num = compute.workers or min(num_gpus, len(runs))
        return Workers(num, max(1, num_cores // num), has_gpus=True)
    num = compute.workers or max(1, min(len(runs), num_cores, _that_fit(runs)))
    return Workers(num, max(1, num_cores // num))


def say_what_fits_beside(run: RunSettings, num: int) -> str:
    """What to do where a training was killed for lack of memory.

    Args:
        run: its settings.
        num: how many trainings ran at once.
    """
    total = total_bytes()
    advice = "Set compute.workers lower"
    if total is not None:
        memory = estimate_memory(run, is_half=False)
        tried = at_once(run)
        share = int(USABLE * total / num) - PROCESS_BYTES
        fit = min(memory.that_fit(share), max(1, tried // 2))
        if fit >= 1:
            advice += f", or train.micro_batch = {fit}, of which {num} should fit at once"
    return f" {advice}, and run the same command again."


def _that_fit(runs: Sequence[RunSettings]) -> int:
    """How many of the largest fit into the memory of this machine."""
    total = total_bytes()
    if total is None:
        return 1
    distinct = {(run.model, run.prepare, run.train): run for run in runs}
    largest = max(
        estimate_memory(run, is_half=False).needed(at_once(run)) for run in distinct.values()
    )
    return int(USABLE * total // (PROCESS_BYTES + largest))
