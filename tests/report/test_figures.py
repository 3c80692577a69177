import re
from dataclasses import replace

from neoresponse.report.figures import REFERENCE_LOOKS, looks, loss_figure, say
from neoresponse.report.sources import Epoch
from neoresponse.types import CLINICAL_ONLY, Estimate

ESTIMATE = Estimate(0.8123, 0.7011, 0.9229, 60, "DeLong")


def test_no_two_of_twenty_runs_look_alike():
    found = looks([f"run{number}" for number in range(20)])
    assert len({(look.colour, str(look.dash)) for look in found.values()}) == 23


def test_a_reference_model_looks_the_same_beside_any_runs():
    assert looks(["a"])[CLINICAL_ONLY] == looks(["a", "b", CLINICAL_ONLY])[CLINICAL_ONLY]
    assert looks([])[CLINICAL_ONLY].colour == REFERENCE_LOOKS[0].colour


def test_an_estimate_is_said_with_its_interval_or_without_one():
    assert say(ESTIMATE) == "0.812 (0.701–0.923)"
    assert say(replace(ESTIMATE, low=None, high=None)) == "0.812 (no CI)"
    assert say(replace(ESTIMATE, value=None)) == "not estimable"


def test_a_figure_has_no_date_and_the_kept_epoch_is_named():
    epochs = [Epoch(0, 0.7, 0.8, 0.5, None, is_kept=False), Epoch(1, 0.6, 0.7, 0.6, 0.7, True)]
    svg = loss_figure("run_$x$", epochs, is_simulated=False).decode()
    assert "<!-- epoch 1 kept -->" in svg
    assert "<!-- run_$x$: loss -->" in svg
    assert not re.search(r"<dc:date>|20\d\d-\d\d-\d\d", svg)


def test_a_training_of_one_epoch_is_drawn():
    assert loss_figure("run", [Epoch(0, 0.7, 0.8, 0.5, 0.5, True)], is_simulated=True)
