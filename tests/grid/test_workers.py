import os

import pytest
import torch

from neoresponse.grid import workers
from neoresponse.grid.workers import Workers, choose_workers, say_what_fits_beside
from neoresponse.settings import ComputeSettings
from neoresponse.training.memory import estimate_memory

AUTO = ComputeSettings()


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    monkeypatch.setattr(workers, "total_bytes", lambda: 2**40)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.mark.usefixtures("eight_cores")
class TestOnEightCores:
    def test_many_runs_take_a_core_each(self, tiny):
        assert choose_workers(AUTO, [tiny] * 40) == Workers(8, 1)

    def test_few_runs_share_all_cores(self, tiny):
        assert choose_workers(AUTO, [tiny] * 3) == Workers(3, 2)

    def test_a_wish_is_met(self, tiny):
        assert choose_workers(ComputeSettings(workers=2), [tiny] * 40) == Workers(2, 4)

    def test_memory_bounds_them(self, tiny, monkeypatch):
        monkeypatch.setattr(workers, "total_bytes", lambda: 2 * 2**30)
        assert choose_workers(AUTO, [tiny] * 40).num == 2

    def test_at_least_one_is_tried_whatever_the_memory(self, tiny, monkeypatch):
        monkeypatch.setattr(workers, "total_bytes", lambda: 2**20)
        assert choose_workers(AUTO, [tiny] * 40) == Workers(1, 8)

    def test_each_gpu_takes_one(self, tiny, monkeypatch):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
        on_gpu = tiny.model_copy(update={"train": tiny.train.model_copy(update={"device": "auto"})})
        assert choose_workers(AUTO, [on_gpu] * 40) == Workers(4, 2, has_gpus=True)
        assert choose_workers(AUTO, [tiny] * 40) == Workers(8, 1)  # these ask for the processor

    def test_what_fits_beside_others_is_named(self, tiny, monkeypatch):
        memory = estimate_memory(tiny, is_half=False)
        share = workers.PROCESS_BYTES + memory.needed(3)
        monkeypatch.setattr(workers, "total_bytes", lambda: int(4 * (share + 10) / workers.USABLE))
        assert "train.micro_batch = 3, of which 4" in say_what_fits_beside(tiny, 4)
        # What was tried and killed is never advised again.
        assert "train.micro_batch = 8, of which 1" in say_what_fits_beside(tiny, 1)
