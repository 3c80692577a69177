import dask
import pytest
from distributed import LocalCluster

from neoresponse.cohort.split import write_split
from neoresponse.grid.job import training_job
from neoresponse.grid.pool import _LOOPBACK, _NO_PAGES
from neoresponse.grid.run import Place, run_jobs


@pytest.fixture
def jobs(store, assignments, tiny, tmp_path):
    """One training that can be done, and one that cannot."""
    train = tiny.train.model_copy(update={"epochs": 1})
    settings = tiny.model_copy(update={"train": train})
    (tmp_path / "split").mkdir()
    write_split(tmp_path / "split", assignments, train.augment, seed=settings.seed)
    places = {"prepared": store.folder, "split": tmp_path / "split"}
    return [
        training_job(name, settings, places | {"run": tmp_path / name} | more, is_trained=False)
        for name, more in (("good", {}), ("bad", {"split": tmp_path / "nowhere"}))
    ]


def test_workers_of_a_scheduler_by_address_do_the_jobs(jobs, tmp_path):
    states = []
    done = []
    with (
        dask.config.set(_NO_PAGES),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            dashboard_address=_LOOPBACK,
            worker_dashboard_address=_LOOPBACK,
            memory_limit=None,
        ) as cluster,
    ):
        place = Place(tmp_path, None, cluster.scheduler_address, lambda s, _left: states.append(s))
        failed = run_jobs(jobs, place, finished=done.append)
    assert [job.name for job in done] == ["good"]
    assert (tmp_path / "good" / "predictions.csv").is_file()
    assert list(failed) == ["bad"]
    assert "split.csv: expected this file" in failed["bad"]
    assert {one.name: one.state for one in states[-1]} == {"good": "done", "bad": "failed"}
    assert not (tmp_path / ".watched").exists()


def test_without_jobs_nothing_is_started(tmp_path):
    assert run_jobs([], Place(tmp_path, None, "tcp://nowhere:1"), finished=lambda _job: None) == {}
