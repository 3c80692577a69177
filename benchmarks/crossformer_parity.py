"""Holds our CrossFormer and squeeze-and-excitation against a folder of reference files.

    python benchmarks/crossformer_parity.py FOLDER

FOLDER holds `.npz` files of four kinds, under any names, told apart by their content:

- a small network: `param/NAME`, `input_int8`, outputs `out/...` and gradients `grad/NAME`;
- a full-size network: outputs alone, weights and input drawn by the recipe from `meta.seed`;
- `case0/...`: squeeze-and-excitation against its formula;
- `stem/...` and `merge/...`: embeddings with squeeze-and-excitation in its several places.

Prints the largest error of every array with its tolerance. Exit code 0: all within tolerance;
1: one is over it, a file is of no known kind or cannot be read, or there was nothing to check;
2: wrong usage.
"""

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from excitation_parity import embeddings, excitation
from reference_files import Arrays, Check, State, UnknownFileError, compared, read, relative
from torch import Tensor, nn

from neoresponse.models.attention import Attention
from neoresponse.models.crossformer import (
    MERGE_KERNELS,
    PATCH_KERNELS,
    CrossFormer,
    CrossFormerSizes,
)

LOGITS, MAPS, DOUBLE = 1e-5, 1e-4, 1e-8
"""Absolute tolerances: logits; maps, pooled vector and bias tables; logits in float64."""
DRAWN_LOGITS = 2e-5
"""Absolute tolerance of the logits where weights are drawn: the networks are full-size."""
STRICT_GRADIENT, LOOSE_GRADIENT, STRICT_FROM = 1e-4, 3e-3, 48
"""Relative tolerances of gradients from this `embed_dim` on, and below it, where the norms over one
or two features in the position bias are ill-conditioned."""
NEUTRAL = {
    "in_chans": 3,
    "qkv_bias": True,
    "qk_scale": None,
    "ape": False,
    "patch_norm": True,
}
"""Keys of the official configuration that must stand at these values for it to be our network."""
KNOWN = {
    *("img_size", "embed_dim", "depths", "num_heads", "group_size", "crs_interval", "mlp_ratio"),
    *("num_classes", "patch_size", "merge_size"),
    *("drop_path_rate", "drop_rate", "attn_drop_rate", "use_checkpoint"),
}
"""Keys that are followed, or that do nothing in evaluation."""


def main(arguments: list[str]) -> int:
    """Check a folder and return the exit code."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python benchmarks/crossformer_parity.py FOLDER", file=sys.stderr)
        return 2
    paths = sorted(Path(arguments[0]).glob("*.npz"))
    bad = 0
    for path in paths:
        try:
            checks = check_file(path)
        except Exception as error:  # whatever went wrong, this file is not shown to be equal
            print(f"{path.name}: FAIL, cannot be checked: {type(error).__name__}: {error}")
            bad += 1
            continue
        report(path.name, checks)
        bad += not all(check.is_ok for check in checks)
    if not paths:
        print(f"{arguments[0]}: expected .npz files, found none")
    print(f"{len(paths)} files, {len(paths) - bad} within tolerance, {bad} not")
    return 0 if paths and not bad else 1


def report(name: str, checks: list[Check]) -> None:
    """Print every array of a file, then the file's worst one."""
    print(name)
    for check in checks:
        unit = "relative" if check.is_relative else "absolute"
        verdict = "ok" if check.is_ok else "OVER"
        print(f"  {verdict:4} {check.error:.2e} of {check.tolerance:.0e} {unit}  {check.array}")
    worst = max(checks, key=lambda check: (not check.is_ok, check.error / check.tolerance))
    verdict = "ok" if all(check.is_ok for check in checks) else "FAIL"
    print(
        f"  => {name}: {verdict}, {len(checks)} arrays, nearest to its tolerance: {worst.array} "
        f"{worst.error:.2e} of {worst.tolerance:.0e}"
    )


def check_file(path: Path) -> list[Check]:
    """Check every reference array of a file.

    Raises:
        UnknownFileError: it is of no known kind, or holds arrays that nothing here checks.
    """
    golden = read(path)
    keys = set(golden)
    if any(key.startswith("param/") for key in keys):
        checks = list(small_network(golden))
    elif "state_dict" in golden["meta"]:
        checks = list(drawn_network(golden))
    elif any(key.startswith("case") for key in keys):
        checks = list(excitation(golden))
    elif any(key.startswith(("stem/", "merge/")) for key in keys):
        checks = list(embeddings(golden))
    else:
        raise UnknownFileError(f"expected a known kind, got arrays {sorted(keys)[:5]}")
    left = {key for key in keys if _is_reference(key)} - {check.array for check in checks}
    if left or not checks:
        raise UnknownFileError(f"expected known outputs, got {len(left)} others: {sorted(left)}")
    return checks


def _is_reference(key: str) -> bool:
    """Whether an array holds what our code must give, rather than what it is given."""
    last = key.split("/")[-1]
    results = ("out", "gate", "squeeze", "hidden", "grad_x", "grad_fc", "y")
    return key.startswith(("out/", "grad/")) or ("/" in key and last.startswith(results))


def small_network(golden: Arrays) -> Iterator[Check]:
    """A network whose weights stand in the file: outputs, then gradients."""
    state = {
        key.removeprefix("param/"): torch.from_numpy(value.astype(np.float32))
        for key, value in golden.items()
        if key.startswith("param/")
    }
    images = torch.from_numpy(golden["input_int8"]).float() / 64
    yield from _outputs(golden, state, images, logit_tolerance=LOGITS)
    if "grad_coef" in golden:
        yield from _gradients(golden, state, images)


def drawn_network(golden: Arrays) -> Iterator[Check]:
    """A network whose weights and input are drawn by the recipe of the reference files."""
    meta = golden["meta"]
    seed, config = meta["seed"], meta["config"]
    state = {name: drawn(name, tuple(s), seed) for name, s in meta["state_dict"].items()}
    height, width = sides(config)
    num = len(next(value for key, value in golden.items() if key.startswith("out/logits")))
    images = np.random.RandomState(seed).standard_normal((num, 3, height, width))
    images = torch.from_numpy(images.astype(np.float32))
    yield from _outputs(golden, state, images, logit_tolerance=DRAWN_LOGITS)


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
    return torch.from_numpy(np.asarray(value).astype(np.float32))


def sides(config: Arrays) -> tuple[int, int]:
    """Height and width of the images of a configuration."""
    side = config["img_size"]
    return (side, side) if isinstance(side, int) else (side[0], side[1])


def sizes(config: Arrays) -> CrossFormerSizes:
    """The official configuration in our words.

    Raises:
        UnknownFileError: it asks for something that this network has not.
    """
    others = {key: value for key, value in config.items() if key not in KNOWN}
    # An option that we do not know must be switched off.
    other = {k: v for k, v in others.items() if (v != NEUTRAL[k] if k in NEUTRAL else v)}
    if other:
        raise UnknownFileError(f"expected a known configuration, got {other}")
    merge = config.get("merge_size", [MERGE_KERNELS] * 3)
    return CrossFormerSizes(
        embed_dim=config["embed_dim"],
        depths=_four(config["depths"]),
        num_heads=_four(config["num_heads"]),
        group_sizes=_four(config.get("group_size", 7)),
        intervals=_four(config.get("crs_interval", (8, 4, 2, 1))),
        mlp_ratios=_four(config.get("mlp_ratio", 4.0)),
        patch_kernels=tuple(config.get("patch_size", PATCH_KERNELS)),
        merge_kernels=tuple(tuple(kernels) for kernels in merge),
    )


def _four(value: Any) -> Any:  # noqa: ANN401 (numbers of a JSON file)
    """One entry per stage, from a list or from one number for all."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value,) * 4


def _network(golden: Arrays, state: State, dtype: torch.dtype) -> tuple[CrossFormer, nn.Linear]:
    """The trunk with the official weights, and the official classifier."""
    model = CrossFormer(sizes(golden["meta"]["config"])).to(dtype).eval()
    weights = {key: value.to(dtype) for key, value in state.items()}
    head = nn.Linear(model.num_features, len(weights["head.weight"]), dtype=dtype)
    head.load_state_dict({key: weights.pop(f"head.{key}") for key in ("weight", "bias")})
    model.load_state_dict(weights)
    num = sum(p.numel() for part in (model, head) for p in part.parameters())
    expected = golden["meta"].get("n_params", num)
    if num != expected:
        raise UnknownFileError(f"expected {expected} parameters, got {num}")
    return model, head


def _outputs(
    golden: Arrays, state: State, images: Tensor, *, logit_tolerance: float
) -> Iterator[Check]:
    """Hold every stored output against ours; maps are stored with a stride."""
    model, head = _network(golden, state, torch.float32)
    with torch.no_grad():
        found = network_outputs(model, head, images)
    for key in [key for key in golden if key.startswith("out/") and key != "out/logits_f64"]:
        name, _, stride = key.partition("@stride")
        if name not in found:
            continue  # reported as an array that nothing checks
        step = int(stride or 1)
        ours = found[name][:, ::step, ::step] if stride else found[name]
        tolerance = logit_tolerance if key == "out/logits" else MAPS
        yield compared(key, ours, golden[key], tolerance=tolerance)
    if "out/logits_f64" in golden:
        model, head = _network(golden, state, torch.float64)
        with torch.no_grad():
            logits = head(model(images.double()))
        yield compared("out/logits_f64", logits, golden["out/logits_f64"], tolerance=DOUBLE)


def network_outputs(model: CrossFormer, head: nn.Linear, images: Tensor) -> dict[str, Tensor]:
    """Every output by the name it has in the reference files, maps whole."""
    grid = model.stem(images)
    found = {"out/patch_embed": grid}
    for index, layer in enumerate(model.layers):
        name = f"out/stage{index + 1}"
        for number, block in enumerate(layer.get_submodule("blocks").children()):
            attention = block.get_submodule("attn")
            assert isinstance(attention, Attention)
            group, _ = attention.layout(min(grid.shape[1:3]))
            found[f"{name}.block{number}.dpb"] = attention.pos(group)
            grid = found[f"{name}.block{number}"] = block(grid)
        found[f"{name}.pre"] = grid
        if index < len(model.layers) - 1:
            grid = found[f"{name}.post"] = layer.get_submodule("downsample")(grid)
    found["out/pooled"] = model.pool(grid)
    found["out/logits"] = head(found["out/pooled"])
    return found


def _gradients(golden: Arrays, state: State, images: Tensor) -> Iterator[Check]:
    """Gradients of sum(grad_coef * logits) in float64, as the reference ones were made."""
    model, head = _network(golden, state, torch.float64)
    coefficient = torch.from_numpy(golden["grad_coef"]).double()
    (head(model(images.double())) * coefficient).sum().backward()
    is_strict = model.sizes.embed_dim >= STRICT_FROM
    tolerance = STRICT_GRADIENT if is_strict else LOOSE_GRADIENT
    parameters = dict(model.named_parameters())
    parameters |= {f"head.{name}": p for name, p in head.named_parameters()}
    for key in [key for key in golden if key.startswith("grad/")]:
        gradient = parameters[key.removeprefix("grad/")].grad
        assert gradient is not None
        yield relative(key, gradient, golden[key], tolerance=tolerance)


if __name__ == "__main__":
    torch.set_num_threads(min(2, torch.get_num_threads()))
    sys.exit(main(sys.argv[1:]))
