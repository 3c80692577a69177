"""Weights from the hub: only when asked for, only safetensors, and a sentence where it fails."""

import importlib
import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from neoresponse.errors import ConfigError, MissingExtraError
from neoresponse.models import pretrained
from neoresponse.models.build import build_backbone, build_model, weights_file
from neoresponse.models.torchvision_cure import import_torchvision
from neoresponse.settings import ModelSettings

SMALL_NET = "test_resnet"
CROSSFORMER = {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 1)}


class ProxyError(Exception):
    """As the network library of the hub's client raises it: no kind of OSError."""


@pytest.fixture(autouse=True)
def _hub():
    for name in ("timm", "huggingface_hub"):
        if importlib.util.find_spec(name) is None:
            pytest.skip("the extra `baselines` is not installed")


@pytest.fixture
def asked(monkeypatch):
    """What the hub was asked for, and the function whose `answer` it gives."""
    hub = importlib.import_module("huggingface_hub")
    calls = []

    def download(repository, filename):
        calls.append((repository, filename))
        answer = download.answer
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    download.answer = None
    monkeypatch.setattr(hub, "hf_hub_download", download)
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was opened"))
    return calls, download


def test_published_weights_are_fetched_where_a_run_asks_for_them(asked, tmp_path):
    calls, download = asked
    import_torchvision()
    timm = importlib.import_module("timm")
    donor = timm.create_model(SMALL_NET)
    save_file(donor.state_dict(), tmp_path / "model.safetensors")
    download.answer = tmp_path / "model.safetensors"
    settings = ModelSettings(backbone=SMALL_NET, pretrained=True, pathways=("us_0",))
    model = build_model(settings, image_px=32)
    assert calls == [("timm/test_resnet.r160_in1k", "model.safetensors")]
    first = next(p for p in donor.parameters() if p.ndim == 4)
    assert any(torch.equal(first, p) for p in model.parameters() if p.shape == first.shape)


def test_a_variant_of_weights_is_named_behind_a_dot(asked, tmp_path):
    calls, download = asked
    download.answer = OSError("away")
    with pytest.raises(ConfigError):
        build_backbone(ModelSettings(backbone="resnet50.tv_in1k", pretrained=True), image_px=32)
    assert calls == [("timm/resnet50.tv_in1k", "model.safetensors")]


def test_an_unknown_variant_is_refused_before_the_hub_is_asked(asked):
    settings = ModelSettings(backbone="resnet50.typo", pretrained=True)
    with pytest.raises(ConfigError, match=r"expected a variant .* got 'resnet50\.typo'\. Known: "):
        build_backbone(settings, image_px=32)
    assert asked[0] == []


def test_the_file_that_a_network_starts_from_can_be_asked_for(asked, tmp_path, monkeypatch):
    calls, download = asked
    local = ModelSettings(**CROSSFORMER, weights=tmp_path / "own.safetensors")
    assert weights_file(local) == tmp_path / "own.safetensors"
    assert weights_file(ModelSettings(**CROSSFORMER)) is None
    assert weights_file(ModelSettings(backbone=SMALL_NET)) is None
    fetched = ModelSettings(backbone=SMALL_NET, pretrained=True)
    download.answer = tmp_path / "model.safetensors"
    assert weights_file(fetched) == tmp_path / "model.safetensors"
    assert len(calls) == 1
    hub = importlib.import_module("huggingface_hub")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: str(tmp_path / "cached"))
    assert weights_file(fetched) == tmp_path / "cached"
    assert len(calls) == 1  # what lies in the cache is not asked for again


def test_the_network_is_left_alone_unless_asked(asked):
    calls, _ = asked
    build_model(ModelSettings(backbone=SMALL_NET), image_px=32)
    build_model(ModelSettings(**CROSSFORMER), image_px=32)
    assert calls == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionError("Name or service not known"), "ConnectionError: Name or service"),
        (TimeoutError("timed out"), "TimeoutError: timed out"),
        ("LocalEntryNotFoundError", "LocalEntryNotFoundError: cannot reach the hub"),
        ("EntryNotFoundError", "EntryNotFoundError: cannot reach the hub"),
        ("OfflineModeIsEnabled", "OfflineModeIsEnabled: cannot reach the hub"),
        (ProxyError("403 Forbidden"), "ProxyError: 403 Forbidden"),
        (ValueError("Unknown scheme for proxy URL"), "ValueError: Unknown scheme for proxy"),
    ],
)
def test_where_weights_cannot_be_had_a_local_file_is_asked_for(asked, error, reason):
    _, download = asked
    if isinstance(error, str):
        errors = importlib.import_module("huggingface_hub.errors")
        error = getattr(errors, error)("cannot reach the hub")
    download.answer = error
    settings = ModelSettings(backbone=SMALL_NET, pretrained=True)
    with pytest.raises(ConfigError) as caught:
        build_model(settings, image_px=32)
    text = str(caught.value)
    assert f"expected model.safetensors of timm/test_resnet.r160_in1k, got {reason}" in text
    assert (
        "https://huggingface.co/timm/test_resnet.r160_in1k/resolve/main/model.safetensors" in text
    )
    assert text.endswith("name the file with model.weights.")


def test_without_the_hub_s_client_the_extra_is_named(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(pretrained.importlib, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'neoresponse\[baselines\]'"):
        pretrained.fetch_weights("timm/x", backbone="x")


def test_a_network_without_a_repository_is_told_to_use_a_file():
    with pytest.raises(ConfigError, match=r"got none\. Name a local \.safetensors file"):
        pretrained.fetch_weights("", backbone="test_nowhere")


def test_the_official_crossformer_is_told_to_be_converted(asked):
    settings = ModelSettings(**CROSSFORMER, pretrained=True)
    with pytest.raises(ConfigError, match=r"whose published weights are pickles\. Convert them"):
        build_model(settings, image_px=32)
    assert asked[0] == []


def test_no_file_of_the_network_opens_a_pickle():
    folder = Path(pretrained.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text()
        assert "torch.load(" not in text
        assert "import pickle" not in text


def test_fixed_tables_of_official_files_are_left_out(tmp_path):
    settings = ModelSettings(**CROSSFORMER, se=False)
    donor = build_backbone(settings, image_px=32)
    tables = {
        "layers.0.blocks.0.attn.biases": torch.zeros(169, 2),
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(49, 49),
        "head.weight": torch.zeros(1000, 128),
    }
    save_file({**donor.state_dict(), **tables}, tmp_path / "official.safetensors")
    settings = settings.model_copy(update={"weights": tmp_path / "official.safetensors"})
    loaded = build_backbone(settings, image_px=32).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in donor.state_dict().items())
