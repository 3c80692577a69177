"""Negative controls: what each does to the inputs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neoresponse.contracts.controls import Controls
from neoresponse.contracts.predictions import read_predictions
from neoresponse.data.batch import Batch
from neoresponse.durable import read_json
from neoresponse.errors import RunError
from neoresponse.explain import controls
from neoresponse.explain.controls import CONTROLS, predict_controls
from neoresponse.models.trained import load_model

BY_NAME = {control.name: control for control in CONTROLS}
SHARE = 1 / 1.6


def batch(seed):
    draw = torch.Generator().manual_seed(seed)
    names = {"us_0": (3, 32, 32), "us_1": (3, 32, 32), "biopsy": (4, 3, 32, 32)}
    return Batch(
        patient_ids=("a", "b"),
        images={name: torch.randn(2, *shape, generator=draw) for name, shape in names.items()},
        clinical=torch.randn(2, 4, generator=draw),
        available={
            **{name: torch.tensor([True, bool(seed)]) for name in names},
            "clinical": torch.ones(2, 4, dtype=torch.bool),
        },
        label=torch.tensor([0.0, 1.0]),
    )


OWN, OTHER = batch(0), batch(1)


def changed(name):
    return BY_NAME[name].change(OWN, OTHER, SHARE)


def test_there_are_ten_controls_with_names_of_their_own():
    assert len(BY_NAME) == len(CONTROLS) == 10


def test_swapped_time_points_change_places_with_what_is_missing():
    own = replace(OWN, available={**OWN.available, "us_1": torch.tensor([False, True])})
    found = BY_NAME["US-0 and US-1 swapped"].change(own, OTHER, SHARE)
    assert torch.equal(found.images["us_0"], own.images["us_1"])
    assert torch.equal(found.images["us_1"], own.images["us_0"])
    assert found.available["us_0"].tolist() == [False, True]


def test_us_0_twice_shows_no_us_1():
    found = changed("US-0 twice")
    assert torch.equal(found.images["us_1"], OWN.images["us_0"])
    assert torch.equal(found.images["biopsy"], OWN.images["biopsy"])


def test_a_blanked_lesion_leaves_the_sides_and_what_lies_above():
    found = changed("lesion blanked")
    for name in ("us_0", "us_1"):
        gone = found.images[name][0, 0] == 0
        rows, columns = np.flatnonzero(gone.any(1)), np.flatnonzero(gone.any(0))
        lesion = 32 * SHARE
        assert rows[0] <= 16 - lesion / 2
        assert rows[-1] == 31  # down to the bottom, where the shadow falls
        assert columns[0] <= 16 - lesion / 2
        assert columns[-1] >= 15 + lesion / 2
        assert gone.float().mean() < 0.7
    assert torch.equal(found.images["biopsy"], OWN.images["biopsy"])


def test_surroundings_alone_withhold_biopsy_and_clinical_values():
    found = changed("surroundings only")
    assert not found.available["biopsy"].any()
    assert not found.available["clinical"].any()
    assert (found.images["us_1"] == 0).any()
    assert found.available["us_0"][0]


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("biopsy of another", {"biopsy"}),
        ("ultrasound of another", {"us_0", "us_1"}),
        ("clinical of another", {"clinical"}),
        ("everything of another", {"biopsy", "us_0", "us_1", "clinical"}),
    ],
)
def test_inputs_of_another_come_with_what_that_patient_lacks(name, taken):
    found = changed(name)
    for key in OWN.available:
        source = OTHER if key in taken else OWN
        assert torch.equal(found.available[key], source.available[key])
        if key in OWN.images:
            assert torch.equal(found.images[key], source.images[key])
    source = OTHER if "clinical" in taken else OWN
    assert torch.equal(found.clinical, source.clinical)


def test_nothing_shown_withholds_every_input():
    assert not any(known.any() for known in changed("nothing shown").available.values())


def test_no_control_changes_the_batch_it_is_given():
    before = {name: image.clone() for name, image in OWN.images.items()}
    for control in CONTROLS:
        control.change(OWN, OTHER, SHARE)
    assert all(torch.equal(OWN.images[name], image) for name, image in before.items())


@pytest.mark.parametrize("num", [2, 3, 40])
def test_nobody_stands_in_for_himself(num):
    found = controls._others(num)
    assert sorted(found) == list(range(num))
    assert all(one != other for one, other in enumerate(found))


def test_every_control_of_a_run_is_written(run, store, assignments, tmp_path):
    predict_controls(load_model(run / "model"), store, assignments, tmp_path)
    content = read_json(tmp_path / "controls.json", schema=Controls.SCHEMA)
    assert content["is_simulated"] is True
    names = [record["name"] for record in content["controls"]]
    assert names == ["true inputs", *BY_NAME]
    rows = {r["name"]: read_predictions(tmp_path / r["file"]) for r in content["controls"]}
    test_ids = [a.patient_id for a in assignments if a.split == "test"]
    assert all([row.patient_id for row in found] == test_ids for found in rows.values())
    assert len({row.probability for row in rows["nothing shown"]}) == 1
    assert [r.probability for r in rows["labels permuted"]] == [
        r.probability for r in rows["true inputs"]
    ]
    assert [r.probability for r in rows["US-0 twice"]] != [
        r.probability for r in rows["true inputs"]
    ]


def test_a_split_without_test_patients_is_refused(run, store, assignments, tmp_path):
    train = [a for a in assignments if a.split == "train"]
    with pytest.raises(RunError, match="expected at least two test patients, got 0"):
        predict_controls(load_model(run / "model"), store, train, tmp_path)
