import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from neoresponse.contracts.bundle import BundleManifest
from neoresponse.contracts.predictions import read_predictions
from neoresponse.contracts.record import write_record
from neoresponse.contracts.run import read_inputs
from neoresponse.data.forward import batch_logits
from neoresponse.durable import sha256_of
from neoresponse.errors import ConfigError, RunError
from neoresponse.models.build import build_model
from neoresponse.models.checkpoint import load_bundle, save_bundle
from neoresponse.models.trained import load_model
from neoresponse.preprocess.store import prepare_store
from neoresponse.report.sources import read_epochs
from neoresponse.settings import ModelSettings
from neoresponse.settings.toml import run_settings, with_changes
from neoresponse.training import finite, loop
from neoresponse.training.fit import fit_inputs
from neoresponse.training.loop import Place, train_network
from neoresponse.training.outputs import predict_run
from neoresponse.training.run import keep_older_run, run_inputs, train_run

FILES = ("metrics.csv", "samples.csv", "model/weights.safetensors", "model/model.json", "run.json")


def hashes(folder):
    return {name: sha256_of(folder / name) for name in FILES}


class Killed(Exception):
    pass


def test_the_same_seed_gives_the_same_bytes(run, store, assignments, tiny, tmp_path):
    train_run(store, assignments, tiny, tmp_path / "again")
    assert hashes(tmp_path / "again") == hashes(run)


def test_another_seed_gives_other_weights(run, store, assignments, tiny, tmp_path):
    train_run(store, assignments, tiny.model_copy(update={"seed": 2}), tmp_path / "other")
    assert (
        hashes(tmp_path / "other")["model/weights.safetensors"]
        != hashes(run)["model/weights.safetensors"]
    )


@pytest.mark.parametrize("moment", ["in the second epoch", "while writing the first state"])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    run, store, assignments, tiny, tmp_path, monkeypatch, moment
):
    folder = tmp_path / "killed"
    with monkeypatch.context() as patch:
        if moment == "in the second epoch":
            original = loop.take_steps

            def take_steps(training, *args):
                if training.progress.epoch == 1:
                    raise Killed
                return original(training, *args)

            patch.setattr(loop, "take_steps", take_steps)
        else:

            def write_bytes(*_args):
                raise Killed

            patch.setattr("neoresponse.models.checkpoint.write_bytes", write_bytes)
        with pytest.raises(Killed):
            train_run(store, assignments, tiny, folder)
    assert not (folder / "run.json").exists()
    train_run(store, assignments, tiny, folder)
    assert hashes(folder) == hashes(run)


def test_a_finished_run_is_not_replaced_unless_forced(run, store, assignments, tiny):
    with pytest.raises(RunError, match="found a finished run"):
        train_run(store, assignments, tiny, run)


def test_an_unfinished_run_with_other_settings_is_refused(run, store, assignments, tiny, tmp_path):
    folder = shutil.copytree(run, tmp_path / "unfinished")
    (folder / "run.json").unlink()
    other = tiny.model_copy(update={"seed": 2})
    with pytest.raises(RunError, match="this unfinished run was started with"):
        train_run(store, assignments, other, folder)


@pytest.mark.parametrize("name", ["inception_v3", "inception_v4"])
def test_a_network_that_needs_larger_pictures_is_refused_before_a_folder_is_made(
    store, assignments, tiny, tmp_path, name
):
    settings = tiny.model_copy(update={"model": ModelSettings(backbone=name)})
    with pytest.raises(ConfigError) as refused:
        train_run(store, assignments, settings, tmp_path / "run")
    assert str(refused.value).startswith(
        "model.backbone: expected a network that takes pictures of 32 px, got "
        f"{name!r}, which needs "
    )
    assert not (tmp_path / "run").exists()


def test_validation_patients_of_one_class_have_no_auc_and_the_loss_decides(
    store, assignments, tiny, tmp_path
):
    kept = [a for a in assignments if a.split != "validation" or a.label == 0]
    settings = with_changes(tiny, {"train": {"keep": "auc"}}, "test")
    train_run(store, kept, settings, tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["validation_auc"] for row in rows] == ["", ""]
    best = min(rows, key=lambda row: float(row["validation_loss"]))
    assert best["is_kept"] == "1"
    assert "AUC" not in (tmp_path / "run" / "progress.svg").read_text()
    assert read_epochs(tmp_path / "run" / "metrics.csv")[0].auc is None


def test_a_store_prepared_otherwise_is_refused(store, assignments, tiny, tmp_path):
    other = run_settings(None, ("prepare.image_px=64", "prepare.region_px=192"))
    with pytest.raises(ConfigError, match="expected the settings under"):
        train_run(store, assignments, other, tmp_path / "run")


def test_a_damaged_checkpoint_is_refused_before_it_is_read(run, store, assignments, tiny, tmp_path):
    folder = shutil.copytree(run, tmp_path / "damaged")
    (folder / "run.json").unlink()
    for file in (folder / "checkpoints").glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(RunError, match="expected the SHA-256 in its name, got"):
        train_run(store, assignments, tiny, folder)


def test_a_foreign_model_is_refused_before_it_is_read(run, tmp_path):
    folder = shutil.copytree(run / "model", tmp_path / "model")
    (folder / "weights.safetensors").write_bytes(b"anything")
    with pytest.raises(RunError, match=r"weights.safetensors: expected SHA-256"):
        load_model(folder)


def test_a_loss_that_is_no_number_names_its_own_batch_and_nothing_is_saved(
    store, assignments, tiny, tmp_path
):
    train = tiny.train.model_copy(update={"batch_size": 1})
    settings = tiny.model_copy(update={"train": train})
    fitted = fit_inputs(store, assignments, settings, torch.device("cpu"))
    row = int(fitted.samples.row[-1])
    clinical = fitted.dataset.clinical.clone()
    clinical[row] = float("nan")
    known = torch.ones_like(fitted.dataset.is_known)
    dataset = dataclasses.replace(fitted.dataset, clinical=clinical, is_known=known)
    network = build_model(settings.model, image_px=settings.prepare.image_px)
    # From this patient's first batch on, every loss is no number.
    named = (
        rf"epoch 0: expected a finite loss, got nan .* patients {store.patients[row].patient_id}\."
    )
    with pytest.raises(RunError, match=named):
        train_network(
            network, dataclasses.replace(fitted, dataset=dataset), settings, Place(tmp_path)
        )
    assert not list(tmp_path.iterdir())


def test_how_often_losses_are_read_changes_no_byte(
    run, store, assignments, tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(finite, "READ_EVERY", 2)
    train_run(store, assignments, tiny, tmp_path / "often")
    assert hashes(tmp_path / "often") == hashes(run)


def test_a_setting_of_evaluation_is_no_part_of_a_run(run, store, assignments, tiny):
    """The threshold of a later evaluation finds the same run, and the model states none."""
    evaluate = tiny.evaluate.model_copy(update={"threshold": "half", "confidence": 0.9})
    other = tiny.model_copy(update={"evaluate": evaluate})
    assert run_inputs(other, store.folder, assignments) == read_inputs(run)
    assert "threshold" not in (run / "model" / "model.json").read_text()


def as_an_earlier_version_wrote_it(run):
    """The same run with the rule of the threshold in its recipe."""
    content = json.loads((run / "inputs.json").read_text())
    content["recipe"]["threshold"] = "youden"
    content["schema"] = "neoresponse.run-inputs/1"
    (run / "inputs.json").write_text(json.dumps(content))


def test_a_run_of_an_earlier_version_is_the_same_run(run, store, assignments, tiny, tmp_path):
    older = shutil.copytree(run, tmp_path / "older")
    as_an_earlier_version_wrote_it(older)
    assert read_inputs(older) == read_inputs(run)
    assert read_inputs(older).identity == run_inputs(tiny, store.folder, assignments).identity
    predict_run(older, store)


def test_an_unfinished_run_of_an_earlier_version_goes_on(run, store, assignments, tiny, tmp_path):
    older = tmp_path / "older"
    older.mkdir()
    write_record(older, read_inputs(run))
    as_an_earlier_version_wrote_it(older)
    before = (older / "inputs.json").read_bytes()
    train_run(store, assignments, tiny, older)
    assert (older / "inputs.json").read_bytes() == before
    assert hashes(older) == hashes(run)


def test_a_network_that_pools_patches_is_trained_on_all_of_them(
    store, assignments, tiny, tmp_path, monkeypatch
):
    shown = []

    def logits(network, batch):
        shown.append(batch.images["biopsy"].shape[1])
        return batch_logits(network, batch)

    monkeypatch.setattr(loop, "batch_logits", logits)
    model = tiny.model.model_copy(update={"patch_pooling": "attention", "pathways": ("biopsy",)})
    train_run(store, assignments, tiny.model_copy(update={"model": model}), tmp_path / "run")
    assert set(shown) == {tiny.prepare.num_patches}


def test_metrics_have_a_row_per_epoch_and_one_kept_from_the_allowed_ones(run, tiny):
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    kept = [int(row["epoch"]) for row in rows if row["is_kept"] == "1"]
    assert kept == [json.loads((run / "run.json").read_text())["kept_epoch"]]


def test_predictions_cover_the_split_and_repeat_byte_for_byte(run, store, assignments, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    predict_run(folder, store)
    first = (folder / "predictions.csv").read_bytes()
    predictions = read_predictions(folder / "predictions.csv")
    assert [p.patient_id for p in predictions] == [a.patient_id for a in assignments]
    predict_run(folder, store)
    assert (folder / "predictions.csv").read_bytes() == first


def test_a_probability_does_not_depend_on_the_other_patients(run, store):
    from neoresponse.data.dataset import open_for
    from neoresponse.training.predict import patient_probability

    model = load_model(run, device="cpu")
    dataset = open_for(model, store)
    everyone = range(len(store.patients))
    together = patient_probability(model.network, dataset, everyone, precision="float32")
    alone = patient_probability(model.network, dataset, [5], precision="float32")
    np.testing.assert_allclose(alone[0], together[5], rtol=1e-5)


def test_test_patients_change_nothing_that_is_fitted(store, assignments, tiny, tmp_path, run):
    """Other pixels, table rows and labels of every test patient: the same weights, to the byte."""
    other = shutil.copytree(store.folder, tmp_path / "prepared")
    test_ids = {a.patient_id for a in assignments if a.split == "test"}
    manifest = json.loads((other / "manifest.json").read_text())
    for name in ("us_0", "us_1", "biopsy"):
        array = np.load(other / f"{name}.npy")
        for row, record in enumerate(manifest["patients"]):
            if record["patient_id"] in test_ids:
                array[row] = 255 - array[row]
                record["clinical"] = {"er": "low", "ki67_percent": 99.0}
                record["label"] = 1 - record["label"] if name == "us_0" else record["label"]
        np.save(other / f"{name}.npy", array)
    (other / "manifest.json").write_text(json.dumps(manifest))
    from neoresponse.preprocess.store import open_store

    train_run(open_store(other), assignments, tiny, tmp_path / "run")
    ours, theirs = hashes(tmp_path / "run"), hashes(run)
    for name in ("metrics.csv", "samples.csv", "model/weights.safetensors", "model/model.json"):
        assert ours[name] == theirs[name]


def test_a_folder_that_is_no_run_is_never_moved(store, assignments, tiny, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("keep")
    with pytest.raises(RunError, match=r"with inputs\.json in it\), found other files"):
        keep_older_run(tmp_path / "mine", store, assignments, tiny)
    assert (tmp_path / "mine" / "precious.txt").exists()


def test_a_run_killed_at_its_very_first_write_can_be_started(store, assignments, tiny, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "..neoresponse.json.0123abcd.neoresponse.part").write_text("half")
    train_run(store, assignments, tiny, tmp_path / "run")
    assert (tmp_path / "run" / "run.json").exists()


def test_another_store_is_not_taken_for_the_runs_own(run, checked, tiny, tmp_path):
    fewer = dataclasses.replace(checked, patients=checked.patients[:-1])
    other = prepare_store(fewer, tmp_path / "prepared", tiny.prepare)
    with pytest.raises(RunError, match=r"expected the store that .* was trained on"):
        predict_run(run, other)


def test_a_bundle_whose_parts_do_not_fit_is_refused_in_one_sentence(run, tmp_path):
    card, weights = load_bundle(run / "model")
    other = card.model_copy(update={"architecture": ModelSettings(embed_dim=32)})
    save_bundle(tmp_path / "model", weights, other)
    with pytest.raises(RunError, match=r"expected weights that fit the network of model\.json"):
        load_model(tmp_path / "model")


def test_a_model_card_of_another_type_is_refused_in_one_sentence(run, tmp_path):
    bundle = shutil.copytree(run / "model", tmp_path / "model")
    card = json.loads((bundle / "model.json").read_text()) | {"architecture": 1}
    (bundle / "model.json").write_text(json.dumps(card))
    hashes = {name: sha256_of(bundle / name) for name in ("weights.safetensors", "model.json")}
    write_record(bundle, BundleManifest(sha256=hashes))
    with pytest.raises(RunError, match=r"model\.json: expected architecture as"):
        load_model(bundle)
