"""Checks of squeeze-and-excitation against reference files; see crossformer_parity.py."""

from collections.abc import Iterator

import torch
from reference_files import Arrays, Check, State, compared, relative, tensor
from torch import Tensor
from torch.nn.functional import linear

from neoresponse.models.cross_scale import NormedEmbedding
from neoresponse.models.crossformer import CrossFormerSizes, PatchEmbedding, PatchMerging
from neoresponse.models.se import PerScaleExcite, SqueezeExcite

FORMULA = 1e-6
"""Relative tolerance of the block against its formula."""
EMBEDDING = 1e-5
"""Absolute tolerance of an embedding with the block in it."""


def excitation(golden: Arrays) -> Iterator[Check]:
    """Squeeze-and-excitation, forward in float32 and gradients in float64, case by case."""
    for case in golden["meta"]:
        prefix = f"case{case['case']}/"
        part = {k.removeprefix(prefix): v for k, v in golden.items() if k.startswith(prefix)}
        with torch.no_grad():
            found = excitation_outputs(part, case["reduction"], torch.float32)
        found |= excitation_gradients(part, case["reduction"])
        for key, ours in found.items():
            if key in part:
                yield relative(f"{prefix}{key}", ours, part[key], tolerance=FORMULA)


def excitation_outputs(part: Arrays, ratio: int, dtype: torch.dtype) -> State:
    """What the module makes of a case, channels first as in the file."""
    module = _excitation_module(part, ratio, dtype)
    grid = torch.from_numpy(part["x"]).to(dtype).permute(0, 2, 3, 1)  # (B, H, W, C)
    squeezed = grid.mean(dim=(1, 2))
    return {
        "squeeze": squeezed,
        "hidden": linear(squeezed, module.fc1.weight, module.fc1.bias).relu(),
        "gate": module.gate(grid),
        "y": module(grid).permute(0, 3, 1, 2),
    }


def excitation_gradients(part: Arrays, ratio: int) -> State:
    """Gradients of sum(grad_coef * y)."""
    module = _excitation_module(part, ratio, torch.float64)
    images = torch.from_numpy(part["x"]).double().requires_grad_()
    out = module(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    (out * torch.from_numpy(part["grad_coef"]).double()).sum().backward()
    named = {
        f"grad_{name.replace('.', '_')}": parameter.grad
        for name, parameter in module.named_parameters()
    }
    return {k: v for k, v in {"grad_x": images.grad, **named}.items() if v is not None}


def _excitation_module(part: Arrays, ratio: int, dtype: torch.dtype) -> SqueezeExcite:
    """The module with the weights of a case."""
    module = SqueezeExcite(part["x"].shape[1], ratio=ratio, bias="fc1_bias" in part)
    names = [name for name, _ in module.named_parameters()]
    module.load_state_dict({name: tensor(part, name.replace(".", "_")) for name in names})
    return module.to(dtype)


def embeddings(golden: Arrays) -> Iterator[Check]:
    """Embeddings with squeeze-and-excitation: A after the scales, B after the norm, C per scale."""
    ratio = golden["meta"].get("reduction", 16)
    found: State = {}
    with torch.no_grad():
        if "stem/input_int8" in golden:
            found |= _stem_outputs(golden, ratio)
        if "merge/input_tokens" in golden:
            found |= _merge_outputs(golden, ratio)
    for key, ours in found.items():
        if key in golden:
            yield compared(key, ours, golden[key], tolerance=EMBEDDING)


def _stem_outputs(golden: Arrays, ratio: int) -> State:
    """All readings of the first embedding."""
    stored = torch.from_numpy(golden["stem/input_int8"]).float()
    # Where inputs were cut at +-3.9 before they were stored, 3.9 x 32 has become 124.
    is_cut = (stored.abs() == 124) & (stored.abs().max() == 124)
    images = torch.where(is_cut, stored.sign() * 3.9, stored / 32)
    state = _embedding_state(golden, "stem")
    kernels = _kernels(state, "projs")
    first = CrossFormerSizes(
        len(state["norm.weight"]), (1,) * 4, (1,) * 4, se_ratio=ratio, patch_kernels=kernels
    )
    embedding = PatchEmbedding(first)
    embedding.load_state_dict(state)
    found = {"out_A_concat_se_norm": embedding(images)}
    found["gate_A"] = embedding.se.gate(embedding.projs(images))
    normed = NormedEmbedding(embedding.projs, embedding.norm, embedding.se)
    found["out_B_concat_norm_se"] = normed(images)
    widths = [conv.weight.shape[0] for conv in embedding.projs]
    scales = PerScaleExcite(widths, ratio=ratio)
    names = [name for name, _ in scales.named_parameters()]  # scales.0.fc1.weight
    pieces = {name: name.split(".") for name in names}
    keys = {name: f"stem/per_scale{p[1]}_{p[2]}_{p[3]}" for name, p in pieces.items()}
    if all(key in golden for key in keys.values()):
        scales.load_state_dict({name: tensor(golden, key) for name, key in keys.items()})
        embedding.se = scales
        found["out_C_per_scale_se_concat_norm"] = embedding(images)
    return {f"stem/{name}": _tokens(value) for name, value in found.items()}


def _merge_outputs(golden: Arrays, ratio: int) -> State:
    """A further embedding, with and without excitation."""
    tokens = torch.from_numpy(golden["merge/input_tokens"])
    side = golden["meta"].get("merge_H", round(tokens.shape[1] ** 0.5))
    grid = tokens.unflatten(1, (side, -1))
    state = _embedding_state(golden, "merge")
    kernels = _kernels(state, "reductions")
    embedding = PatchMerging(tokens.shape[2], kernels=kernels, se_ratio=ratio)
    embedding.load_state_dict(state)
    found = {"out_A_concat_se": embedding(grid)}
    plain = embedding.reductions(embedding.norm(grid).permute(0, 3, 1, 2))
    found |= {"out_no_se": plain, "gate_A": embedding.se.gate(plain)}
    return {f"merge/{name}": _tokens(value) for name, value in found.items()}


def _embedding_state(golden: Arrays, part: str) -> State:
    """Weights of an embedding and of its excitation."""
    prefix = f"{part}/param/"
    state = {
        key.removeprefix(prefix): tensor(golden, key) for key in golden if key.startswith(prefix)
    }
    return state | {
        f"se.{name}.weight": tensor(golden, f"{part}/se_{name}_weight") for name in ("fc1", "fc2")
    }


def _kernels(state: State, name: str) -> tuple[int, ...]:
    """Sides of the kernels of an embedding's convolutions, in order."""
    found = {k: v for k, v in state.items() if k.startswith(f"{name}.") and v.ndim == 4}
    return tuple(found[f"{name}.{index}.weight"].shape[-1] for index in range(len(found)))


def _tokens(value: Tensor) -> Tensor:
    """A map as the files hold it, (batch, tokens, channels); a gate as it is."""
    return value.flatten(1, 2) if value.ndim == 4 else value
