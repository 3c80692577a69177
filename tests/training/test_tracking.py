import csv
import re
import sys
import xml.etree.ElementTree as ET
from importlib.util import find_spec

import pytest

from neoresponse.errors import MissingExtraError
from neoresponse.settings import TrainSettings
from neoresponse.training.picture import progress_svg
from neoresponse.training.progress import COLUMNS, Progress, metrics_csv
from neoresponse.training.trackers import start_trackers


def row(epoch, loss=0.5):
    values = (epoch, loss, loss + 0.1, 0.7, 0.8, 0.001, 1.5)
    return dict(zip(COLUMNS, values, strict=True))


HISTORY = [row(0, 0.9), row(1, 0.6), row(2, 0.4)]


def test_the_table_has_every_digit_and_marks_the_kept_epoch():
    lines = list(csv.DictReader(metrics_csv(Progress(HISTORY, kept_epoch=1)).splitlines()))
    assert [line["is_kept"] for line in lines] == ["0", "1", "0"]
    assert float(lines[0]["validation_loss"]) == HISTORY[0]["validation_loss"]


def test_the_table_is_written_after_each_epoch_and_again_where_it_was_lost(run):
    lines = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    assert [line["learning_rate"] for line in lines] == ["0.001", "0.001"]
    assert all(float(line["gradient_norm"]) > 0 for line in lines)


def test_the_picture_is_well_formed_and_says_simulated_where_it_is():
    shown = progress_svg(HISTORY, kept_epoch=1, is_simulated=True)
    root = ET.fromstring(shown)
    assert len(root.findall(".//{*}polyline")) == 6  # four curves, the kept epoch twice
    assert "SIMULATED" in shown
    assert "kept so far: 1" in shown
    assert "SIMULATED" not in progress_svg(HISTORY, kept_epoch=None, is_simulated=False)


def test_the_picture_puts_values_where_they_belong():
    """Losses from 0 to 5 % above the highest: the lowest curve ends lower."""
    shown = progress_svg(HISTORY, kept_epoch=None, is_simulated=False)
    curves = [
        [tuple(map(float, point.split(","))) for point in points.split()]
        for points in re.findall(r'points="([^"]+)"', shown)
    ]
    training, validation = curves[:2]
    assert [x for x, _ in training] == [48, 208, 368]
    assert all(
        y_train > y_val for (_, y_train), (_, y_val) in zip(training, validation, strict=True)
    )
    top, bottom = 34, 186
    assert training[0][1] == pytest.approx(bottom - (bottom - top) * 0.9 / 1.05, abs=0.1)


def test_one_epoch_is_a_picture_too():
    picture = ET.fromstring(progress_svg(HISTORY[:1], kept_epoch=0, is_simulated=True))
    assert picture.tag.endswith("svg")


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_tracker_that_is_not_installed_says_how_to_install_it(name, tmp_path, monkeypatch):
    module = {"tensorboard": "torch.utils.tensorboard", "mlflow": "mlflow"}[name]
    monkeypatch.setitem(sys.modules, module, None)
    sentence = rf"expected the package {name}.*pip install 'neoresponse\[{name}\]'"
    with (
        pytest.raises(MissingExtraError, match=sentence),
        start_trackers(tmp_path, TrainSettings(trackers=(name,))),
    ):
        pass


def tell(folder, name, *histories):
    with start_trackers(folder, TrainSettings(trackers=(name,))) as trackers:
        for history in histories:
            for tracker in trackers:
                tracker(history)


@pytest.mark.filterwarnings("ignore")  # theirs
def test_tensorboard_has_each_epoch_once_after_a_stop(tmp_path):
    if find_spec("tensorboard") is None:
        pytest.skip("the extra `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell(tmp_path, "tensorboard", HISTORY[:1], HISTORY[:2])
    tell(tmp_path, "tensorboard", HISTORY)
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("train_loss")
    assert [(event.step, round(event.value, 3)) for event in found] == [
        (0, 0.9),
        (1, 0.6),
        (2, 0.4),
    ]


@pytest.mark.filterwarnings("ignore")  # theirs
def test_mlflow_goes_on_with_the_run_that_it_began(tmp_path):
    if find_spec("mlflow") is None or find_spec("sqlalchemy") is None:
        pytest.skip("the extra `mlflow` is not installed")
    from mlflow import MlflowClient

    tell(tmp_path, "mlflow", HISTORY[:1], HISTORY[:2])
    tell(tmp_path, "mlflow", HISTORY)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (found,) = client.search_runs(["0"])
    values = client.get_metric_history(found.info.run_id, "train_loss")
    assert [(metric.step, metric.value) for metric in values] == [(0, 0.9), (1, 0.6), (2, 0.4)]
    assert found.data.params["epochs"] == "60"
