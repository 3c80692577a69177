import copy
import csv
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from neoresponse.contracts.predictions import read_predictions
from neoresponse.data import forward as forward_module
from neoresponse.data.forward import prediction_precision
from neoresponse.errors import ConfigError, RunError
from neoresponse.models.build import build_model
from neoresponse.models.trained import load_model
from neoresponse.settings import ModelSettings, TrainSettings
from neoresponse.training import arrange as arrange_module
from neoresponse.training.arrange import arrange, choose_algorithms, choose_precision
from neoresponse.training.fit import fit_inputs
from neoresponse.training.outputs import predict_run
from neoresponse.training.run import train_run

SIDE = 32
IMAGES = ("biopsy", "us_0", "us_1")


def tiny_network(**changes):
    torch.manual_seed(1)
    small = {"embed_dim": 16, "depths": (1, 1, 2, 1), "num_heads": (1, 2, 2, 4), "group_size": 4}
    return build_model(ModelSettings(**{**small, **changes}), image_px=SIDE).train()


def inputs(num=2):
    generator = torch.Generator().manual_seed(2)
    images = {n: torch.randn(num, 3, SIDE, SIDE, generator=generator) for n in IMAGES}
    available = {n: torch.ones(num, dtype=torch.bool) for n in IMAGES}
    available["clinical"] = torch.ones(num, 4, dtype=torch.bool)
    return images, torch.randn(num, 4, generator=generator), available


def logits_and_gradients(network):
    torch.manual_seed(3)  # of the dropped paths
    network.zero_grad()
    logits = network(*inputs())
    binary_cross_entropy_with_logits(logits, torch.tensor([0.0, 1.0])).backward()
    return logits.detach(), {name: p.grad.clone() for name, p in network.named_parameters()}


def assert_same(found, expected, *, tolerance):
    torch.testing.assert_close(found[0], expected[0], rtol=tolerance, atol=tolerance)
    assert list(found[1]) == list(expected[1])
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=tolerance, atol=tolerance)


def test_activations_made_again_give_the_same_gradients():
    network = tiny_network(drop_path=0.3)
    expected = logits_and_gradients(network)
    arrange(network, TrainSettings(checkpoint_activations=True))
    assert_same(logits_and_gradients(network), expected, tolerance=1e-6)


def test_activations_made_again_are_not_kept():
    def kept_bytes(network):
        sizes = []

        def keep(tensor):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network(*inputs())
        return sum(sizes)

    network = tiny_network()
    before = kept_bytes(network)
    arrange(network, TrainSettings(checkpoint_activations=True))
    assert kept_bytes(network) < before / 2


def test_activations_of_another_backbone_cannot_be_made_again():
    if find_spec("timm") is None:
        pytest.skip("the extra `baselines` is not installed")
    network = tiny_network(backbone="test_resnet", pathways=("us_0",))
    with pytest.raises(ConfigError, match="expected backbone `crossformer`"):
        arrange(network, TrainSettings(checkpoint_activations=True))


# In a process of its own: the compiler cannot see through the shape checks that tests switch on.
COMPARE = """
import json, sys, torch
from neoresponse.settings import ModelSettings, TrainSettings
from neoresponse.models.build import build_model
from neoresponse.training.arrange import arrange, compile_parts

def results(network):
    network.zero_grad()
    torch.manual_seed(2)  # of the dropped paths
    logits = network({"us_0": image}, torch.zeros(2, 4), {"us_0": known[:, 0], "clinical": known})
    logits.sum().backward()
    return [logits.detach(), *(p.grad.clone() for p in network.parameters())]

backend, settings, is_recomputed, num_graphs = json.loads(sys.argv[1])
torch.set_num_threads(1)
torch.manual_seed(1)
torch._inductor.config.fallback_random = True
image, known = torch.randn(2, 3, 64, 64), torch.ones(2, 4, dtype=torch.bool)
network = build_model(ModelSettings(pathways=("us_0",), **settings), image_px=64)
arrange(network, TrainSettings(checkpoint_activations=is_recomputed))
names, expected = list(network.state_dict()), results(network)
compile_parts(network, backend=backend)
for found, wanted in zip(results(network), expected, strict=True):
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == num_graphs
assert list(network.state_dict()) == names
"""
# The second block of stage 1 is long-distance, and groups of 3 pad its map of 16 x 16 tokens.
BLOCKS = {"embed_dim": 16, "depths": [2, 1, 1, 1], "num_heads": [1, 2, 2, 4], "group_size": 3}


@pytest.mark.slow  # a process and a compilation each
@pytest.mark.parametrize(
    ("backend", "settings", "is_recomputed", "num_graphs"),
    [
        ("aot_eager", BLOCKS, False, 5),  # all of compiling but the C++ code
        ("aot_eager", {**BLOCKS, "drop_path": 0.3}, True, 5),
        pytest.param(
            "aot_eager",
            {"backbone": "test_resnet"},
            False,
            1,
            marks=pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed"),
        ),
        pytest.param(
            "inductor",
            {**BLOCKS, "depths": [1, 1, 1, 1], "group_size": 4},  # the C++ compiler takes minutes
            False,
            4,
            marks=pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here"),
        ),
    ],
)
def test_compiled_parts_give_the_same_logits_and_gradients(
    backend, settings, is_recomputed, num_graphs
):
    run_python(COMPARE, json.dumps([backend, settings, is_recomputed, num_graphs]))


TRAIN = """
import sys
from pathlib import Path
import torch
from neoresponse.cohort.split import read_split
from neoresponse.preprocess.store import open_store
from neoresponse.settings.toml import run_settings
from neoresponse.training import arrange
from neoresponse.training.run import train_run

def note(graph, inputs):
    rows.append(max(len(given) for given in inputs if given.ndim == 4))
    return graph

rows = []
store, run, out = map(Path, sys.argv[1:])
torch._dynamo.config.fail_on_recompile_limit_hit = True
compile_parts = arrange.compile_parts
arrange.compile_parts = lambda network: compile_parts(network, backend=note)
arrange.shutil.which = lambda name: name
changes = ("train.compile=true", "train.batch_size=5", 'model.pathways=["us_0"]')
settings = run_settings(str(run / "config.toml"), changes)
train_run(open_store(store), read_split(run), settings, out)
num_samples = len((out / "samples.csv").read_text().splitlines()) - 1
assert num_samples % 5 and sorted(rows) == sorted(4 * [5, num_samples % 5]), (num_samples, rows)
"""


@pytest.mark.slow
def test_training_compiles_its_own_shapes_and_no_other(run, store, tmp_path):
    """Four blocks, for whole batches and for the last, smaller one; none for validation's eight."""
    run_python(TRAIN, str(store.folder), str(run), str(tmp_path / "out"))


def run_python(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setattr(arrange_module.shutil, "which", lambda _: None)
    with pytest.raises(RunError, match=r"train\.compile: expected a C\+\+ compiler, got none"):
        arrange(tiny_network(), TrainSettings(compile=True))


def test_nothing_is_arranged_unless_wished():
    network = tiny_network()
    expected = logits_and_gradients(copy.deepcopy(network))
    arrange(network, TrainSettings())
    assert_same(logits_and_gradients(network), expected, tolerance=0.0)


@pytest.fixture
def algorithms():
    """Puts torch's own settings back."""
    is_strict = torch.are_deterministic_algorithms_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory
    has_tf32 = torch.backends.cudnn.allow_tf32
    yield
    torch.use_deterministic_algorithms(is_strict)
    torch.utils.deterministic.fill_uninitialized_memory = fills
    torch.backends.cudnn.allow_tf32 = has_tf32


@pytest.mark.usefixtures("algorithms")
def test_a_processor_insists_on_the_same_bytes_and_a_gpu_warns():
    choose_algorithms(torch.device("cpu"))
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    choose_algorithms(torch.device("cuda"))
    assert torch.is_deterministic_algorithms_warn_only_enabled()


@pytest.mark.usefixtures("algorithms")
def test_fresh_memory_is_not_filled():
    torch.utils.deterministic.fill_uninitialized_memory = True
    choose_algorithms(torch.device("cpu"))
    assert not torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.usefixtures("algorithms")
def test_float32_is_rounded_nowhere():
    torch.backends.cudnn.allow_tf32 = True
    choose_algorithms(torch.device("cuda"))
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_bfloat16_vectors_are_those_of_float32_to_two_digits():
    trunk, _ = tiny_network().eval().streams()[0]
    image = inputs()[0]["biopsy"]
    with torch.no_grad():
        exact = trunk(image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = trunk(image).float()
    error = float((rounded - exact).norm() / exact.norm())
    assert 1e-4 < error < 2e-2  # it is rounded, and no more than eight bits explain


@pytest.mark.parametrize(
    ("wish", "device", "has_it", "chosen"),
    [
        ("auto", "cpu", True, "float32"),
        ("auto", "cuda", True, "bfloat16"),
        ("auto", "cuda", False, "float32"),
        ("float32", "cuda", True, "float32"),
        ("bfloat16", "cpu", True, "bfloat16"),
    ],
)
def test_a_gpu_works_in_bfloat16_where_nothing_else_is_asked_for(
    monkeypatch, wish, device, has_it, chosen
):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_it)
    monkeypatch.setattr(arrange_module, "has_bfloat16", lambda: has_it)
    assert choose_precision(wish, torch.device(device)) == chosen


def test_bfloat16_is_refused_on_a_processor_without_it(monkeypatch, store, assignments, tiny):
    monkeypatch.setattr(arrange_module, "has_bfloat16", lambda: False)
    train = tiny.train.model_copy(update={"precision": "bfloat16"})
    settings = tiny.model_copy(update={"train": train})
    with pytest.raises(ConfigError, match="no instructions and needs many times as long"):
        fit_inputs(store, assignments, settings, torch.device("cpu"))


@pytest.fixture(scope="module")
def half_run(store, assignments, tiny, tmp_path_factory):
    """A run in bfloat16, so small that it is quick on any processor."""
    train = {"precision": "bfloat16", "checkpoint_activations": True, "epochs": 1}
    settings = tiny.model_copy(update={"train": tiny.train.model_copy(update=train)})
    folder = tmp_path_factory.mktemp("half") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for module in (arrange_module, forward_module):
            patch.setattr(module, "has_bfloat16", lambda: True)
        train_run(store, assignments, settings, folder)
        yield folder, settings


def test_a_training_in_bfloat16_repeats_itself(half_run, store, assignments, tmp_path):
    once, settings = half_run
    train_run(store, assignments, settings, tmp_path / "again")
    weights = [run / "model" / "weights.safetensors" for run in (once, tmp_path / "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_run_says_which_precision_it_used(half_run, run):
    for folder, used in ((half_run[0], "bfloat16"), (run, "float32")):
        for name in ("run.json", "model/model.json"):
            assert json.loads((folder / name).read_text())["precision"] == used


def test_predictions_of_a_run_in_bfloat16_are_those_of_its_validation(half_run, store, tmp_path):
    folder = shutil.copytree(half_run[0], tmp_path / "run")
    assert validation_loss(folder, store) == pytest.approx(read_loss(folder), rel=1e-8)


def test_a_processor_without_bfloat16_predicts_in_float32(half_run, monkeypatch):
    model = load_model(half_run[0], device="cpu")
    assert prediction_precision(model) == "bfloat16"
    monkeypatch.setattr(forward_module, "has_bfloat16", lambda: False)
    assert prediction_precision(model) == "float32"


def test_predictions_are_those_of_validation(run, store, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    assert validation_loss(folder, store) == pytest.approx(read_loss(folder), rel=1e-8)


def read_loss(run):
    """The kept epoch's validation loss, as `metrics.csv` has it."""
    with (run / "metrics.csv").open() as file:
        return next(
            float(r["validation_loss"]) for r in csv.DictReader(file) if r["is_kept"] == "1"
        )


def validation_loss(run, store):
    """The same from `predictions.csv`."""
    predict_run(run, store)
    patients = [p for p in read_predictions(run / "predictions.csv") if p.split == "validation"]
    label = np.array([p.label for p in patients])
    probability = np.array([p.probability for p in patients])
    return float(-np.mean(label * np.log(probability) + (1 - label) * np.log(1 - probability)))


def test_the_new_settings_are_off_by_default():
    train = TrainSettings()
    assert not train.compile
    assert not train.checkpoint_activations
