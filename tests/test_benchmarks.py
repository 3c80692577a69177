"""The scripts that measure: they run, and both sides of a comparison compute the same."""

import importlib.util
import json
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neoresponse.imaging.raster import read_grey
from neoresponse.models.crossformer import CrossFormer, CrossFormerSizes
from neoresponse.settings import RunSettings
from neoresponse.stats import auc
from neoresponse.training.team import ALONE

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


GROUPS = pytest.mark.parametrize(
    ("group", "intervals"), [(4, None), (3, (4, 2, 2, 1)), (7, (8, 4, 2, 1))]
)


def trunk_and_images(group, intervals):
    torch.manual_seed(0)
    sizes = CrossFormerSizes(
        32, (2, 2, 2, 1), (1, 2, 2, 4), group_sizes=(group,) * 4, intervals=intervals
    )
    return CrossFormer(sizes).double(), torch.randn(2, 3, 64, 64, dtype=torch.float64)


@GROUPS
def test_the_plain_twin_computes_what_the_trunk_computes(script, group, intervals):
    model, images = trunk_and_images(group, intervals)
    with torch.no_grad():
        expected = script("plain_crossformer").plain_forward(model, images)
        torch.testing.assert_close(model(images), expected, rtol=1e-9, atol=1e-9)


@GROUPS
def test_the_plain_twin_has_the_gradients_that_the_trunk_has(script, group, intervals):
    model, images = trunk_and_images(group, intervals)
    cotangent = torch.randn(2, model.num_features, dtype=torch.float64)

    def gradients(pooled):
        model.zero_grad()
        (pooled * cotangent).sum().backward()
        return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}

    expected = gradients(script("plain_crossformer").plain_forward(model, images))
    assert float(expected["patch_embed.projs.0.weight"].abs().max()) > 1e-6
    torch.testing.assert_close(gradients(model(images)), expected, rtol=1e-8, atol=1e-12)


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
    for words in (
        "bf16 matmul peak",
        "patients/s",
        "products",
        "idle",
        "whole patients/s",
        "60 ep",
    ):
        assert words in printed


@pytest.mark.slow
def test_the_whole_gpu_check_runs_dry(tmp_path):
    script = [sys.executable, str(FOLDER / "gpu_check.py"), str(tmp_path), "--dry-run"]
    done = subprocess.run([*script, "--parts", "agreement,repeats"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "crossformer | 0.0e+00 | 0.0e+00" in done.stdout
    assert "repeated True, resumed True" in done.stdout


def test_gpu_script_makes_the_published_number_of_samples(script):
    module = script("gpu_training")
    settings = toy_settings()
    _, fitted = module.start(settings, torch.device("cpu"), num_samples=10**6)
    assert len(fitted.samples) == module.SAMPLES
    assert len(fitted.validation_rows) == 49
    assert module.sample_flops(settings) > 1e6


def toy_settings(**train):
    model = {"embed_dim": 16, "depths": [1] * 4, "num_heads": [1] * 4, "group_size": 4}
    prepare = {"image_px": 32, "region_px": 96}
    return RunSettings.model_validate({"model": model, "prepare": prepare, "train": train})


def test_script_of_several_processes_measures_the_same_training_whole_and_in_parts(
    script, tmp_path
):
    module = script("data_parallel")
    before = torch.are_deterministic_algorithms_enabled()
    for name, micro_batch in (("whole", None), ("parts", 1)):
        chosen = SimpleNamespace(
            **{"steps": 1, "batch_size": 2, "image_px": 32, "embed_dim": 16},
            **{"micro_batch": micro_batch, "leave": tmp_path / name},
        )
        module.work(chosen, ALONE)
    torch.use_deterministic_algorithms(before)
    measured = json.loads((tmp_path / "whole.json").read_text())
    assert measured["step_s"] > 0
    assert 0 < module.largest_difference(tmp_path / "whole", tmp_path / "parts") < 2e-3


def test_an_epoch_is_its_steps_and_its_end(script):
    speed = script("gpu_training").Speed(
        batch_size=20,
        step_s=0.5,
        validation_s=4.0,
        saving_s=3.0,
        tflop_per_sample=0.1,
        peak_gib=1.0,
        busy_s={},
    )
    assert speed.epoch_s == 601 * 0.5 + 7.0


def test_a_smaller_batch_is_tried_when_the_memory_of_the_larger_is_free_again(script):
    held, tried = [], []

    class Tensors:
        pass

    def call(settings):
        size = settings.train.batch_size
        assert not any(reference() for reference in held)
        tried.append(size)
        tensors = Tensors()
        held.append(weakref.ref(tensors))
        if size > 16:
            raise torch.cuda.OutOfMemoryError
        return size

    assert script("gpu_training").with_room(call, toy_settings(batch_size=64)) == 16
    assert tried == [64, 32, 16]


def test_a_batch_of_one_that_does_not_fit_is_an_error(script):
    def call(settings):
        raise torch.cuda.OutOfMemoryError

    with pytest.raises(torch.cuda.OutOfMemoryError):
        script("gpu_training").with_room(call, toy_settings(batch_size=2))


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (["aten::mm", "AddmmBackward0"], "products"),
        (["aten::convolution_backward"], "products"),
        (["aten::_scaled_dot_product_efficient_attention_backward"], "attention"),
        (["aten::baddbmm"], "attention"),
        (["aten::mul", "Optimizer.step#Adam.step"], "optimiser"),
        (["aten::mm", "aten::grid_sampler_2d", "batch making"], "batch making"),
        (["aten::native_layer_norm"], "norms and elementwise"),
    ],
)
def test_an_operator_belongs_to_a_group_by_its_name_or_its_callers(script, names, group):
    event = None
    for name in reversed(names):
        event = SimpleNamespace(name=name, cpu_parent=event)
    assert script("step_profile").group_of(event) == group


@pytest.mark.slow
def test_a_profile_finds_every_group(script):
    settings = toy_settings(batch_size=2)
    network, fitted = script("gpu_training").start(settings, torch.device("cpu"), num_samples=2)
    module = script("step_profile")
    busy_s = module.profile_steps(network, fitted, settings, num_steps=1)
    assert list(busy_s) == list(module.GROUPS)
    assert all(seconds > 0 for seconds in busy_s.values())


def test_a_network_is_measured(script, monkeypatch):
    module = script("network")
    small = {"depths": (1, 1, 1, 1), "embed_dim": 16, "num_heads": (1, 1, 1, 1)}
    real = module.ModelSettings
    monkeypatch.setattr(module, "ModelSettings", lambda **changes: real(**{**small, **changes}))
    row = module.measure_network("crossformer", 32, repeats=1)
    assert row["forward_mib"] <= row["step_mib"]
    assert min(row["forward_s"], row["step_s"]) > 0


def test_all_products_of_an_attention_are_counted(script):
    """Of 16 tokens, 4 blocks and 3 images: queries by keys and weights by values, and the rest."""
    if importlib.util.find_spec("timm") is None:
        pytest.skip("the extra `baselines` is not installed")
    module = script("network")
    settings = module.ModelSettings(backbone="test_vit", coherence_stages=())
    network = module.build_model(settings, image_px=64)
    vit = network.streams()[0][0].backbone.vit
    width, tokens = vit.embed_dim, 16
    hidden = vit.blocks[0].mlp.fc1.out_features
    block = tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width
    embedding = tokens * width * 3 * 16**2
    heads = 2 * 2 * width * 8 + 20
    expected = 2 * (4 * (len(vit.blocks) * block + embedding) + heads)
    assert module.forward_flops(network, module.make_inputs(1, 64)) == expected


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


def test_what_is_compared_takes_turns_after_one_untimed_round(script, monkeypatch):
    module, seen = script("network"), []
    clock = iter(range(100))
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    calls = [lambda: seen.append("a"), lambda: (seen.append("b"), next(clock))]
    assert module.fastest(calls, 2) == [1, 2]
    assert seen == ["a", "b"] * 3


@pytest.mark.slow
def test_the_trunk_is_timed_beside_the_plain_one_in_every_way(script, monkeypatch):
    module = script("network")
    monkeypatch.setattr(module, "has_bfloat16", lambda: True)  # so small it is quick anywhere
    sizes = CrossFormerSizes(16, (1, 1, 1, 1), (1, 1, 1, 1), group_sizes=(4,) * 4, intervals=None)
    differences, times = module.compare_with_twin(sizes, 64, repeats=1, threads=1)
    assert differences["float32"] < 1e-5 < differences["bfloat16"] < 1e-1
    assert set(module.TARGETS) < set(times)
    assert all(len(taken) == len(module.SIDES) for taken in times.values())


def test_the_null_increment_is_measured_in_every_group_of_test_patients(script):
    module = script("null_increment")
    population = module.draw(np.random.default_rng(0), "unifocal", (300, 100))
    found = list(module.one_cohort(np.random.default_rng(1), population))
    cells = [cell for cell, _, _ in found]
    assert len(set(cells)) == len(cells) == 3 * (4 + 2)
    assert {group for group, _, _ in cells} == {"TC1", "TC2", "TC1+TC2", "500 more"}
    sizes = {cell[0]: estimate.num_patients for cell, estimate, _ in found}
    assert sizes == {"TC1": 51, "TC2": 105, "TC1+TC2": 156, "500 more": 500}


def test_every_planted_change_gives_other_pixels(script, tmp_path):
    module = script("leaks_planted")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (64, 64), dtype=np.uint8)
    assert len(module.CHANGES) == 7
    for way in module.CHANGES:
        path = module._changed(pixels, way, tmp_path / way[:2], rng)
        assert not np.array_equal(read_grey(path), pixels), way


@pytest.mark.slow
def test_a_side_that_dies_is_not_waited_for(script, capfd):
    options = {"threads": 1, "keeps": False, "sizes": None}  # no trunk can be made of this
    pipe, worker = script("network").start_side(options)
    assert pipe.poll(120)
    with pytest.raises(EOFError):
        pipe.recv()
    worker.join()
    assert "AttributeError" in capfd.readouterr().err


def test_the_recipes_have_the_samples_that_the_text_counts(script):
    module = script("training")
    words = SimpleNamespace(image_px=512, batch_size=2)
    assert module.num_samples(module.recipe("guo2024", words)) == 12_020
    assert module.num_samples(module.recipe("modern", words)) == 391


def test_shares_of_a_step_add_up_and_the_parts_of_the_loop_are_given_back(script, capsys):
    module = script("training")
    before = module.loop.batch_logits, torch.Tensor.backward
    module.print_steps(toy_settings(batch_size=2), 1)
    shares, outside, epoch = capsys.readouterr().out.strip().splitlines()
    parts = [float(word) for word in shares.replace("%", "").split() if word[0].isdigit()]
    assert sum(parts) == pytest.approx(100, abs=0.5)
    assert min(parts) > 0
    found = float(outside.split("step: ")[1].split(" %")[0])
    assert found == pytest.approx(parts[0] + parts[-1], abs=0.2)
    assert "an epoch of 12020 samples" in epoch
    assert (module.loop.batch_logits, torch.Tensor.backward) == before


def test_the_true_auc_of_a_score_is_what_many_patients_show(script):
    coverage = script("cross_validated_coverage")
    rng, means = np.random.default_rng(1), np.array([0.3, 0.5, 0.0])
    coefficients = np.array([7.0, 1.0, 0.4, -0.8])
    label = np.arange(200_000) % 2
    scores = (rng.normal(size=(200_000, 3)) + label[:, None] * means) @ coefficients[1:]
    assert coverage.true_auc(coefficients, means) == pytest.approx(auc(label, scores), abs=0.004)


def test_one_cohort_gives_every_interval_and_what_it_should_hold(script):
    found = list(
        script("cross_validated_coverage").one_cohort(np.random.default_rng(2), 60, 2, 0.8)
    )
    assert len({name for name, _, _ in found}) == 7
    assert all(estimate.low < estimate.value < estimate.high for _, estimate, _ in found)
    assert next(truth for name, _, truth in found if name == "fixed, corrected") == 0.8
