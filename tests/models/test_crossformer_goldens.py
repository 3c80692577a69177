"""The trunk without squeeze-and-excitation is the published CrossFormer, number for number."""

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
OURS = ("named_T_224", "se_block", "se_cel_reading")  # in this repository; the rest is large
FILES = (
    "p1_nopad_224",
    "p2_pad_256",
    "p5_small_map_96_b2",
    "p6_embed64_160",
    *[
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            "p3_group8_512",
            "p4_official_512",
            "named_S_224",
            "named_S_512",
            "named_T_512_g8",
        )
    ],
)


@pytest.fixture
def parity(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("crossformer_parity")


@pytest.fixture
def folder(shared):
    return shared / "goldens" / "crossformer"


@pytest.fixture
def small_folder(reference):
    return reference / "crossformer"


@pytest.mark.parametrize("name", OURS)
def test_our_numbers_equal_the_official_ones(parity, small_folder, name):
    assert_equal(parity.check_file(small_folder / f"{name}.npz"))


@pytest.mark.parametrize("name", FILES)
def test_our_numbers_equal_the_official_ones_of_large_files(parity, folder, name):
    assert_equal(parity.check_file(folder / f"{name}.npz"))


def assert_equal(checks):
    over = [check for check in checks if not check.is_ok]
    assert over == []
    assert len(checks) > 6


def test_the_script_passes_a_folder_within_tolerance(parity, small_folder, tmp_path, capsys):
    shutil.copy(small_folder / "se_block.npz", tmp_path / "any_name.npz")
    assert parity.main([str(tmp_path)]) == 0
    assert "any_name.npz: ok, 21 arrays" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("p5_small_map_96_b2", "out/logits"),
        ("p5_small_map_96_b2", "out/logits_f64"),
        ("p5_small_map_96_b2", "out/stage2.block0@stride1"),
        ("p5_small_map_96_b2", "grad/layers.0.blocks.1.attn.qkv.bias"),
        ("p5_small_map_96_b2", "param/layers.2.blocks.0.mlp.fc1.weight"),
    ],
)
def test_the_script_sees_one_array_of_a_large_file_that_is_off(
    parity, folder, tmp_path, name, array
):
    change(folder / f"{name}.npz", tmp_path / "off.npz", lambda arrays: push(arrays, array))
    assert parity.main([str(tmp_path)]) == 1


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("se_block", "case1/fc2_bias"),
        ("se_cel_reading", "stem/out_C_per_scale_se_concat_norm"),
    ],
)
def test_the_script_sees_one_array_that_is_off(parity, small_folder, tmp_path, name, array):
    change(small_folder / f"{name}.npz", tmp_path / "off.npz", lambda arrays: push(arrays, array))
    assert parity.main([str(tmp_path)]) == 1


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda arrays: arrays.update({"out/stage9.pre@stride1": np.zeros(2)}), "stage9"),
        (lambda arrays: arrays.update({"grad/none.weight": np.zeros(2)}), "none.weight"),
        (lambda arrays: arrays.pop("param/norm.weight"), "norm.weight"),
        (lambda arrays: edit_config(arrays, use_relative=True), "use_relative"),
        (lambda arrays: arrays.pop("meta_json"), "meta_json"),
    ],
)
def test_the_script_refuses_what_it_does_not_know(parity, folder, tmp_path, capsys, edit, sentence):
    change(folder / "p5_small_map_96_b2.npz", tmp_path / "odd.npz", edit)
    assert parity.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "odd.npz: FAIL, cannot be checked" in out
    assert sentence in out


def test_a_file_of_no_known_kind_fails(parity, tmp_path, capsys):
    meta = np.frombuffer(b"{}", dtype=np.uint8)
    np.savez(tmp_path / "other.npz", meta_json=meta, something=np.zeros(3))
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    assert parity.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "expected a known kind" in out
    assert "2 files, 0 within tolerance, 2 not" in out


def test_nothing_to_check_is_a_failure_and_wrong_usage_is_told_apart(parity, tmp_path, capsys):
    assert parity.main([str(tmp_path)]) == 1
    assert parity.main([]) == 2
    assert parity.main([str(tmp_path / "absent")]) == 2
    assert "usage:" in capsys.readouterr().err


def test_rectangular_images_and_one_number_for_all_stages_are_understood(parity):
    config = {"img_size": [64, 96], "embed_dim": 32, "depths": [1, 1, 1, 1]}
    config |= {"num_heads": [1, 1, 2, 2], "group_size": 4, "mlp_ratio": 2.0, "use_acl": False}
    sizes = parity.sizes(config)
    assert parity.sides(config) == (64, 96)
    assert sizes.group_sizes == (4, 4, 4, 4)
    assert sizes.mlp_ratios == (2.0, 2.0, 2.0, 2.0)


def change(source, target, edit):
    """A copy of a reference file with something changed in it."""
    with np.load(source) as file:
        arrays = {key: file[key] for key in file.files}
    edit(arrays)
    np.savez(target, **arrays)


def push(arrays, name):
    """Move one value by a twentieth of the largest, at least by a twentieth."""
    value = arrays[name].copy()
    largest = np.abs(value.astype(np.float64)).max()
    value.flat[0] += value.dtype.type(0.05 * max(largest, 1))
    arrays[name] = value


def edit_config(arrays, **more):
    """More keys in the configuration of a file."""
    meta = json.loads(bytes(arrays["meta_json"]))
    meta["config"] |= more
    arrays["meta_json"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
