import copy
import shutil

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from neoresponse.config import ModelSettings, TrainSettings
from neoresponse.errors import ConfigError, RunError
from neoresponse.models.build import build_model
from neoresponse.training import arrange as arrange_module
from neoresponse.training.arrange import arrange, choose_algorithms, compile_parts, keep_memory
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
    pytest.importorskip("timm")
    network = tiny_network(backbone="test_resnet", pathways=("us_0",))
    with pytest.raises(ConfigError, match="expected backbone `crossformer`"):
        arrange(network, TrainSettings(checkpoint_activations=True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")
def test_traced_blocks_give_the_same_logits_and_gradients():
    network = tiny_network(depths=(1, 1, 1, 1))
    names = list(network.state_dict())
    expected = logits_and_gradients(network)
    compile_parts(network, backend="aot_eager")  # all of compiling but the C++ code
    assert_same(logits_and_gradients(network), expected, tolerance=1e-5)
    assert list(network.state_dict()) == names
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler on this machine")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")
def test_compiled_code_gives_the_same_logits_and_gradients():
    network = tiny_network(depths=(1, 1, 1, 1), pathways=("us_0",))
    expected = logits_and_gradients(network)
    arrange(network, TrainSettings(compile=True))
    assert_same(logits_and_gradients(network), expected, tolerance=1e-5)
    torch._dynamo.reset()


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


def test_keeping_memory_may_be_asked_for_again():
    keep_memory()
    keep_memory()


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
