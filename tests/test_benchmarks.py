"""The scripts that measure: they run, and both sides of a comparison compute the same."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from neoresponse.models.crossformer import CrossFormer, CrossFormerSizes

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Load a script of the folder by its name; it may import its neighbours."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.mark.parametrize(("group", "intervals"), [(4, None), (3, (4, 2, 2, 1)), (7, (8, 4, 2, 1))])
def test_the_plain_twin_computes_what_the_trunk_computes(script, group, intervals):
    torch.manual_seed(0)
    sizes = CrossFormerSizes(
        32, (2, 2, 2, 1), (1, 2, 2, 4), group_sizes=(group,) * 4, intervals=intervals
    )
    model = CrossFormer(sizes).double()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        expected = script("plain_crossformer").plain_forward(model, images)
        torch.testing.assert_close(model(images), expected, rtol=1e-9, atol=1e-9)


def test_gpu_script_says_that_it_needs_a_gpu(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu_training.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert script("gpu_training").main() == 2
    assert "This measures a CUDA GPU and there is none here" in capsys.readouterr().out


@pytest.mark.slow
def test_gpu_script_runs_dry(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu_training.py", "--dry-run", "--steps", "1"])
    before = torch.are_deterministic_algorithms_enabled()
    assert script("gpu_training").main() == 0
    torch.use_deterministic_algorithms(before)
    printed = capsys.readouterr().out
    assert "bf16 matmul peak" in printed
    assert "60 epochs" in printed


def test_gpu_script_makes_the_published_number_of_samples(script):
    module = script("gpu_training")
    settings = module.RunSettings.model_validate({"prepare": {"image_px": 32, "region_px": 96}})
    fitted = module.made_up(settings, torch.device("cpu"), num_samples=10**6)
    assert len(fitted.samples) == module.SAMPLES
    assert len(fitted.validation_rows) == 49
    assert module.sample_flops(settings) > 1e9


def test_an_epoch_is_its_steps_and_its_end(script):
    speed = script("gpu_training").Speed(20, 0.5, 7.0, 0.1, 1.0)
    assert speed.epoch_s == 601 * 0.5 + 7.0


def test_a_network_is_measured(script, monkeypatch):
    module = script("network")
    small = {"depths": (1, 1, 1, 1), "embed_dim": 16, "num_heads": (1, 1, 1, 1)}
    real = module.ModelSettings
    monkeypatch.setattr(module, "ModelSettings", lambda **changes: real(**{**small, **changes}))
    row = module.measure_network("crossformer", 32, repeats=1)
    assert row["flops"] > 1e6
    assert row["forward_mib"] <= row["step_mib"]
    assert 0 < row["forward_s"] < row["step_s"]


@pytest.mark.parametrize(("is_shared", "num_passes"), [(False, 12), (True, 11)])
def test_a_patient_of_nine_patches_costs_twelve_trunk_passes(script, is_shared, num_passes):
    module = script("network")
    settings = module.ModelSettings(
        depths=(1, 1, 1, 1),
        embed_dim=16,
        num_heads=(1, 1, 1, 1),
        group_size=4,
        share_ultrasound_trunk=is_shared,
    )
    network = module.build_model(settings, image_px=32).eval()
    passes, call = module.patient_call(network, 32)
    call()
    assert passes == [num_passes]


@pytest.mark.slow
def test_both_sides_are_timed_in_turns(script):
    sizes = CrossFormerSizes(16, (1, 1, 1, 1), (1, 1, 1, 1), group_sizes=(4,) * 4)
    found = script("network").compare_with_twin(
        dataclasses.replace(sizes, intervals=None), 64, repeats=1, threads=1
    )
    assert found["difference, float32"] < 1e-5
    assert set(script("network").TARGETS) < set(found)
