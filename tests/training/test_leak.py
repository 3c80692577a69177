"""Nothing that is fitted, drawn or shown in training comes from a patient outside training."""

import numpy as np
import pytest

from neoresponse.cohort.split import Assignment
from neoresponse.contracts.store import StoredPatient, StoreManifest
from neoresponse.data.augment import draw_samples
from neoresponse.durable import sha256_of
from neoresponse.preprocess.rows import patients_of
from neoresponse.preprocess.store import Store
from neoresponse.settings import AugmentSettings, PrepareSettings, TrainSettings, VarySettings
from neoresponse.settings.toml import run_settings
from neoresponse.training.plan import Drawn, draw_plan
from neoresponse.training.run import train_run

NUM_COHORTS = 1000


def random_cohort(rng):
    """A store without pixels, and a split of its patients, both in an order of their own."""
    num = int(rng.integers(4, 60))
    names = [f"P{i}" for i in rng.permutation(num)]
    label = rng.integers(2, size=num)
    parts = rng.choice(["train", "validation", "test"], size=num)
    parts[:2], label[:2] = "train", (0, 1)
    patients = tuple(
        StoredPatient(
            patient_id=name,
            label=int(outcome),
            is_multifocal=False,
            clinical={},
            available=(),
            machine=None,
            centre=None,
        )
        for name, outcome in zip(names, label, strict=True)
    )
    manifest = StoreManifest(
        cohort_name="c", is_simulated=True, settings=PrepareSettings(), shapes={}, patients=patients
    )
    assignments = [
        Assignment(names[i], "primary" if parts[i] != "test" else "TC1", parts[i], label[i], False)
        for i in rng.permutation(num)
    ]
    return Store(folder=None, manifest=manifest), assignments


def test_in_a_thousand_random_cohorts_no_sample_is_of_a_patient_outside_training():
    """Balanced by flips, augmented, oversampled or varied: all that an epoch shows is looked up."""
    rng = np.random.default_rng(1)
    for number in range(NUM_COHORTS):
        store, assignments = random_cohort(rng)
        pairs = patients_of(store, assignments, "train")
        rows, label = [row for row, _ in pairs], [outcome for _, outcome in pairs]
        augment = AugmentSettings(
            flips=bool(rng.integers(2)),
            num_variants=int(rng.integers(3)),
            us_factor=int(rng.integers(1, 3)),
        )
        ids = [store.patients[row].patient_id for row in rows]
        samples = draw_samples(ids, rows, label, augment, seed=number)
        of_sample = np.array([store.patients[row].label for row in samples.row])
        settings = TrainSettings(
            sampling=str(rng.choice(["shuffle", "weighted"])), vary=VarySettings(stain=0.1)
        )
        plan = draw_plan(Drawn(samples, of_sample, 9, number), settings, epoch=0)
        shown = {store.patients[row].patient_id for row in samples.row[plan.chosen]}
        training = {a.patient_id for a in assignments if a.split == "train"}
        assert shown <= training, number
        assert set(ids) == training
        assert {store.patients[row].patient_id for row in samples.row} == training


@pytest.fixture(scope="module")
def modern(tiny):
    """The modern recipe on the tiny network, two epochs of it."""
    wanted = (
        "train.epochs=2",
        "train.keep_from_epoch=0",
        "train.warmup_epochs=0.5",
        "train.save_every_steps=2",
        "train.batch_size=8",
        "train.device=cpu",
        "train.num_threads=1",
    )
    recipe = run_settings("modern", wanted)
    changes = {"drop_path": recipe.model.drop_path, "patch_pooling": recipe.model.patch_pooling}
    model = tiny.model.model_copy(update=changes)
    return tiny.model_copy(update={"train": recipe.train, "model": model})


def outcome(folder):
    """All that was fitted, drawn and measured in training."""
    files = [folder / "metrics.csv", folder / "samples.csv", *(folder / "model").iterdir()]
    files += sorted((folder / "shown").iterdir())
    return {str(path.relative_to(folder)): sha256_of(path) for path in files}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, store, assignments, modern):
    folder = tmp_path_factory.mktemp("modern") / "run"
    train_run(store, assignments, modern, folder)
    return outcome(folder)


def test_the_modern_recipe_gives_the_same_bytes_again(
    trained, store, assignments, modern, tmp_path
):
    train_run(store, assignments, modern, tmp_path / "again")
    assert outcome(tmp_path / "again") == trained


def test_another_test_cohort_changes_no_fitted_byte(
    trained, store, assignments, modern, tmp_path, changed_store
):
    """Other pixels, table rows and labels of every test patient, in store and split alike."""
    ids = {a.patient_id for a in assignments if a.split == "test"}
    assert len(ids) > 4
    other = changed_store(store, ids, tmp_path / "prepared")
    relabelled = [
        a if a.split != "test" else Assignment(a.patient_id, a.cohort, "test", 1 - a.label, False)
        for a in assignments
    ]
    train_run(other, relabelled, modern, tmp_path / "run")
    assert outcome(tmp_path / "run") == trained


def test_another_training_patient_changes_what_is_fitted(
    trained, store, assignments, modern, tmp_path, changed_store
):
    """The test above can fail."""
    name = next(a.patient_id for a in assignments if a.split == "train")
    other = changed_store(store, {name}, tmp_path / "prepared")
    train_run(other, assignments, modern, tmp_path / "run")
    found = outcome(tmp_path / "run")
    assert found["model/weights.safetensors"] != trained["model/weights.safetensors"]
    assert found["model/model.json"] != trained["model/model.json"]
