import json

import pytest

from neoresponse.errors import RunError
from neoresponse.report.sources import read_epochs, read_study
from neoresponse.types import REFERENCE_MODELS

HEADER = "epoch,train_loss,validation_loss,validation_accuracy,validation_auc,is_kept\n"


@pytest.mark.parametrize("text", ["", "None"])
def test_an_epoch_without_auc_is_read(tmp_path, text):
    path = tmp_path / "metrics.csv"
    path.write_text(f"{HEADER}0,0.7,0.8,0.5,{text},1\n")
    (epoch,) = read_epochs(path)
    assert epoch.auc is None
    assert epoch.is_kept


@pytest.mark.parametrize("content", [f"{HEADER}0,0.7,high,0.5,0.5,1\n", "epoch\n0\n", "a\n1,2\n"])
def test_a_broken_curve_is_refused(tmp_path, content):
    path = tmp_path / "metrics.csv"
    path.write_text(content)
    with pytest.raises(RunError, match="expected one line of numbers per epoch"):
        read_epochs(path)


def test_runs_keep_the_order_of_the_study_and_the_reference_models_stand_last(make_study):
    study = read_study(make_study(runs=("zeta", "alpha")))
    assert study.named() == ["zeta", "alpha", *REFERENCE_MODELS]
    assert study.judged() == ["zeta", "alpha", REFERENCE_MODELS[0]]
    assert study.in_order(["other", "alpha", "zeta"]) == ["zeta", "alpha", "other"]


def test_another_schema_is_refused(make_study):
    work = make_study()
    (work / "check" / "flow.json").write_text('{"schema": "neoresponse.flow/9"}')
    with pytest.raises(RunError, match=r"expected schema 'neoresponse\.flow/1'"):
        read_study(work)


def test_a_run_that_left_the_study_is_not_read(make_study):
    work = make_study(runs=("se_crosst", "old"))
    metrics = json.loads((work / "evaluation" / "metrics.json").read_text())
    del metrics["runs"]["old"]
    metrics["comparisons"] = [c for c in metrics["comparisons"] if c["run"] != "old"]
    (work / "evaluation" / "metrics.json").write_text(json.dumps(metrics))
    study = read_study(work)
    assert [*study.runs] == [*study.epochs] == [*study.maps] == ["se_crosst"]


def test_without_an_evaluation_every_run_is_read(make_study):
    study = read_study(make_study(runs=("a", "b"), without=("evaluation",)))
    assert [*study.runs] == [*study.epochs] == [*study.maps] == ["a", "b"]
