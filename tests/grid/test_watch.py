from pathlib import Path

import pytest

from neoresponse.grid.job import Job, TrainingTask
from neoresponse.grid.watch import Observer

HEAD = "epoch,validation_loss,validation_accuracy,validation_auc\n"


@pytest.fixture
def job(tiny, tmp_path):
    def make(name, **train):
        settings = tiny.model_copy(update={"train": tiny.train.model_copy(update=train)})
        folder = tmp_path / name
        folder.mkdir()
        task = TrainingTask(
            is_trained=False, settings=settings, prepared=folder, split=folder, run=folder
        )
        return Job(name, task, settings, folder)

    return make


def write(folder: Path, *aucs: float) -> None:
    lines = [f"{epoch},0.{epoch}5,0.5,{value}\n" for epoch, value in enumerate(aucs)]
    (folder / "metrics.csv").write_text(HEAD + "".join(lines))


def test_a_training_shows_its_epochs_its_best_value_and_the_time_left(job):
    one = job("one", epochs=10, keep="auc")
    observer = Observer([one], num_workers=1)
    observer.mark("one", "training")
    observer.look(100.0)
    assert observer.states["one"].left_s is None
    write(one.run, 0.6, 0.8, 0.7)
    observer.look(130.0)
    seen = observer.states["one"]
    assert (seen.epoch, seen.num_epochs, seen.best) == (3, 10, 0.8)
    assert seen.left_s == pytest.approx(70.0)


def test_the_time_left_counts_from_where_a_training_went_on(job):
    one = job("one", epochs=10)
    write(one.run, 0.6, 0.8, 0.7, 0.5)
    observer = Observer([one], num_workers=1)
    observer.mark("one", "training")
    observer.look(0.0)
    write(one.run, 0.6, 0.8, 0.7, 0.5, 0.5)
    observer.look(8.0)
    assert observer.states["one"].left_s == pytest.approx(8.0 * 5)


def test_the_lowest_loss_is_the_best(job):
    one = job("one", epochs=3, keep="loss")
    observer = Observer([one], num_workers=1)
    observer.mark("one", "training")
    write(one.run, 0.6, 0.8)
    observer.look(1.0)
    assert observer.states["one"].best == pytest.approx(0.05)


def test_the_time_left_of_all_shares_waiting_epochs_over_the_workers(job):
    jobs = [job(name, epochs=10) for name in ("a", "b", "c", "d")]
    observer = Observer(jobs, num_workers=2)
    for name in ("a", "b"):
        observer.mark(name, "training")
    observer.look(0.0)
    assert observer.left_s() is None
    for one in jobs[:2]:
        write(one.run, 0.5, 0.5)
    observer.look(20.0)  # 10 s an epoch
    assert observer.left_s() == pytest.approx(10 * (8 + 8 + 10 + 10) / 2)


def test_a_failed_training_says_why_and_takes_no_more_time(job):
    one = job("one", epochs=10)
    observer = Observer([one], num_workers=1)
    observer.mark("one", "failed", "no memory")
    assert observer.states["one"].note == "no memory"
    assert observer.left_s() is None


def test_a_table_that_is_being_torn_shows_nothing_rather_than_an_error(job):
    one = job("one", epochs=10, keep="auc")
    (one.run / "metrics.csv").write_bytes(b"\xff\xfe\x00epoch")
    observer = Observer([one], num_workers=1)
    observer.mark("one", "training")
    observer.look(1.0)
    assert observer.states["one"].best is None
