"""The trunk without squeeze-and-excitation is the published CrossFormer, number for number."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from neoresponse.models.attention import Attention
from neoresponse.models.crossformer import CrossFormer, CrossFormerSizes

SMALL = (
    "p1_nopad_224",
    "p2_pad_256",
    "p3_group8_512",
    "p4_official_512",
    "p5_small_map_96_b2",
    "p6_embed64_160",
)
STRICT_GRADIENTS = ("p5_small_map_96_b2", "p6_embed64_160")
QUICK_NAMED = ("named_T_224", "named_S_224")
SLOW_NAMED = ("named_T_512_g8", "named_S_512")

Arrays = dict[str, Any]


@pytest.fixture
def folder(shared: Path) -> Path:
    return shared / "goldens" / "crossformer"


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_equal_the_official_ones(folder, name):
    golden = read(folder / f"{name}.npz")
    model, head = small_network(golden)
    images = torch.from_numpy(golden["input_int8"]).float() / 64
    with torch.no_grad():
        found = outputs(model, head, images)
    compare(found, golden, logit_tolerance=1e-5)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if "512" in n else []) for n in SMALL]
)
def test_gradients_equal_the_official_ones(folder, name):
    golden = read(folder / f"{name}.npz")
    model, head = small_network(golden, dtype=torch.float64)
    images = torch.from_numpy(golden["input_int8"]).double() / 64
    coefficient = torch.from_numpy(golden["grad_coef"]).double()
    (linear(model(images), head["weight"], head["bias"]) * coefficient).sum().backward()
    tolerance = 1e-4 if name in STRICT_GRADIENTS else 3e-3
    gradients = {key: value.grad for key, value in model.named_parameters()}
    for key in [key for key in golden if key.startswith("grad/") and "head." not in key]:
        expected = golden[key].astype(np.float64)
        error = np.abs(gradients[key.removeprefix("grad/")].numpy() - expected).max()
        assert error <= tolerance * np.abs(expected).max(), key


@pytest.mark.parametrize(
    "name", [*QUICK_NAMED, *[pytest.param(n, marks=pytest.mark.slow) for n in SLOW_NAMED]]
)
def test_full_size_networks_equal_the_official_ones(folder, name):
    golden = read(folder / f"{name}.npz")
    meta = golden["meta"]
    shapes = meta["state_dict"]
    state = {key: drawn(key, tuple(shape), meta["seed"]) for key, shape in shapes.items()}
    model, head = network(meta["config"], state)
    side = meta["config"]["img_size"]
    images = np.random.RandomState(meta["seed"]).standard_normal((1, 3, side, side))
    with torch.no_grad():
        found = outputs(model, head, torch.from_numpy(images.astype(np.float32)))
    compare(found, golden, logit_tolerance=2e-5)
    assert sum(p.numel() for p in state.values()) == meta["n_params"]


def test_cross_scale_embeddings_with_excitation_follow_reading_a(folder):
    golden = read(folder / "se_cel_reading.npz")
    sizes = CrossFormerSizes(32, (1, 1, 1, 1), (1, 1, 1, 1), se_ratio=16)
    model = CrossFormer(sizes)
    load(model.patch_embed, golden, "stem")
    load(model.layers[0].downsample, golden, "merge")
    tokens = torch.from_numpy(golden["merge/input_tokens"]).unflatten(1, (8, 8))
    stored = torch.from_numpy(golden["stem/input_int8"]).float()
    # The file's input was cut at +-3.9 before it was stored; in steps of 1/32 that became 124.
    images = torch.where(stored.abs() == 124, stored.sign() * 3.9, stored / 32)
    with torch.no_grad():
        embedded, merged = model.stem(images), model.layers[0].downsample(tokens)
    close(embedded.flatten(1, 2), golden["stem/out_A_concat_se_norm"], tolerance=1e-5)
    close(merged.flatten(1, 2), golden["merge/out_A_concat_se"], tolerance=1e-5)


def read(path: Path) -> Arrays:
    """All arrays of a file; `meta` holds its JSON."""
    with np.load(path) as file:
        arrays: Arrays = {key: file[key] for key in file.files}
    return {**arrays, "meta": json.loads(bytes(arrays["meta_json"]))}


def network(config: Arrays, state: dict[str, Tensor]) -> tuple[CrossFormer, dict[str, Tensor]]:
    """The trunk with the official weights, and the official classifier apart."""
    sizes = CrossFormerSizes(
        embed_dim=config["embed_dim"],
        depths=tuple(config["depths"]),
        num_heads=tuple(config["num_heads"]),
        group_sizes=tuple(config["group_size"]),
        intervals=tuple(config["crs_interval"]),
        mlp_ratios=tuple(config["mlp_ratio"]),
    )
    model = CrossFormer(sizes).to(next(iter(state.values())).dtype).eval()
    head = {key: state.pop(f"head.{key}") for key in ("weight", "bias")}
    model.load_state_dict(state)
    state |= {f"head.{key}": value for key, value in head.items()}
    return model, head


def small_network(golden: Arrays, *, dtype: torch.dtype = torch.float32) -> Any:
    """The network whose weights stand in the file."""
    state = {
        key.removeprefix("param/"): torch.from_numpy(value.astype(np.float32)).to(dtype)
        for key, value in golden.items()
        if key.startswith("param/")
    }
    return network(golden["meta"]["config"], state)


def drawn(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """A weight by the recipe of the reference files."""
    rng = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
    value = rng.standard_normal(shape)
    if name.endswith("bias"):
        value = 0.1 * value
    elif len(shape) == 1:
        value = 1 + 0.1 * value
    else:
        value = value / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(value.astype(np.float32))


def outputs(model: CrossFormer, head: dict[str, Tensor], images: Tensor) -> dict[str, Tensor]:
    """Every output by the name it has in the reference files, maps whole."""
    grid = model.stem(images)
    found = {"out/patch_embed": grid}
    for index, layer in enumerate(model.layers):
        attention: Attention = layer.blocks[0].attn
        name = f"out/stage{index + 1}"
        found[f"{name}.block0.dpb"] = attention.pos(attention.layout(grid.shape[1])[0])
        found[f"{name}.block0"] = layer.blocks[0](grid)
        grid = found[f"{name}.pre"] = layer(grid)
        if index < 3:
            grid = found[f"{name}.post"] = layer.downsample(grid)
    found["out/pooled"] = model.pool(grid)
    found["out/logits"] = linear(found["out/pooled"], head["weight"], head["bias"])
    return found


def compare(found: dict[str, Tensor], golden: Arrays, *, logit_tolerance: float) -> None:
    """Hold every stored output against ours."""
    for key in [key for key in golden if key.startswith("out/") and not key.endswith("_f64")]:
        name, _, stride = key.partition("@stride")
        step = int(stride or 1)
        ours = found[name][:, ::step, ::step] if stride else found[name]
        tolerance = logit_tolerance if key in ("out/logits", "out/pooled") else 1e-4
        close(ours, golden[key], tolerance=tolerance)


def load(module: torch.nn.Module, golden: Arrays, part: str) -> None:
    """Load one embedding layer and its excitation."""
    prefix = f"{part}/param/"
    state = {k.removeprefix(prefix): v for k, v in golden.items() if k.startswith(prefix)}
    state |= {f"se.{name}.weight": golden[f"{part}/se_{name}_weight"] for name in ("fc1", "fc2")}
    module.load_state_dict({k: torch.from_numpy(v).float() for k, v in state.items()})


def close(ours: Tensor, expected: Any, *, tolerance: float) -> None:
    assert tuple(ours.shape) == expected.shape
    assert np.abs(ours.numpy() - expected).max() <= tolerance
