import copy
import importlib.util
import shutil
import subprocess
import sys

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from neoresponse.config import ModelSettings, TrainSettings
from neoresponse.errors import ConfigError, RunError
from neoresponse.models.build import build_model
from neoresponse.training import arrange as arrange_module
from neoresponse.training.arrange import arrange, choose_algorithms
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
    if importlib.util.find_spec("timm") is None:
        pytest.skip("the extra `baselines` is not installed")
    network = tiny_network(backbone="test_resnet", pathways=("us_0",))
    with pytest.raises(ConfigError, match="expected backbone `crossformer`"):
        arrange(network, TrainSettings(checkpoint_activations=True))


# In a process of its own: the compiler cannot see through the shape checks that tests switch on.
COMPARE = """
import sys, torch
from neoresponse.config import ModelSettings
from neoresponse.models.build import build_model
from neoresponse.training.arrange import compile_parts

def results(network):
    network.zero_grad()
    logits = network({"us_0": image}, torch.zeros(2, 4), {"us_0": known[:, 0], "clinical": known})
    logits.sum().backward()
    return [logits.detach(), *(p.grad.clone() for p in network.parameters())]

torch.set_num_threads(1)
torch.manual_seed(1)
image, known = torch.randn(2, 3, 32, 32), torch.ones(2, 4, dtype=torch.bool)
settings = ModelSettings(
    embed_dim=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 4), group_size=4, pathways=("us_0",)
)
network = build_model(settings, image_px=32)
names, expected = list(network.state_dict()), results(network)
compile_parts(network, backend=sys.argv[1])
for found, wanted in zip(results(network), expected, strict=True):
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 4
assert list(network.state_dict()) == names
"""


@pytest.mark.parametrize(
    "backend",
    [
        "aot_eager",  # all of compiling but the C++ code
        pytest.param(
            "inductor",
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here"),
            ],
        ),
    ],
)
def test_compiled_blocks_give_the_same_logits_and_gradients(backend):
    done = subprocess.run(
        [sys.executable, "-c", COMPARE, backend], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setattr(arrange_module.shutil, "which", lambda _: None)
    with pytest.raises(RunError, match=r"train\.compile: expected a C\+\+ compiler, found none"):
        arrange(tiny_network(), TrainSettings(compile=True))


def test_nothing_is_arranged_unless_wished():
    network = tiny_network()
    expected = logits_and_gradients(copy.deepcopy(network))
    arrange(network, TrainSettings())
    assert_same(logits_and_gradients(network), expected, tolerance=0.0)


def test_a_processor_computes_the_same_bytes_and_does_not_fill_fresh_memory():
    before = torch.are_deterministic_algorithms_enabled()
    choose_algorithms(torch.device("cpu"))
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    choose_algorithms(torch.device("cuda"))
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(before)


def test_bfloat16_logits_are_those_of_float32_to_two_digits():
    network = tiny_network().eval()
    with torch.no_grad():
        exact = network(*inputs())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = network(*inputs())
    torch.testing.assert_close(rounded.float(), exact, rtol=2e-2, atol=2e-2)


def test_a_training_in_bfloat16_runs_and_repeats_itself(store, assignments, tiny, tmp_path):
    train = tiny.train.model_copy(
        update={"precision": "bfloat16", "checkpoint_activations": True, "epochs": 1}
    )
    settings = tiny.model_copy(update={"train": train})
    for name in ("once", "again"):
        train_run(store, assignments, settings, tmp_path / name)
    once, again = (tmp_path / n / "model" / "weights.safetensors" for n in ("once", "again"))
    assert once.read_bytes() == again.read_bytes()


def test_the_new_settings_are_off_by_default():
    train = TrainSettings()
    assert not train.compile
    assert not train.checkpoint_activations
