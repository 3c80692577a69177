"""A finished study of one tiny run, made in this process, and the jobs that a study starts."""

import json

import pytest

from neoresponse import durable
from neoresponse.grid import pool, run
from neoresponse.grid.child import do_job
from neoresponse.phantom.writer import write_phantom
from neoresponse.settings import StudySettings
from neoresponse.study import run_study, trainings


def do_here(job, *_rest):
    """A job without a process of its own, which would take seconds to start."""
    do_job(job)
    return 0, ""


@pytest.fixture(scope="module")
def jobs():
    """Every job that studies of this module start; they are done in this process."""
    started = []

    def run_jobs(jobs, *args, **words):
        started.extend(json.loads(job.text) for job in jobs)
        return run.run_jobs(jobs, *args, **words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "work", do_here)
        patch.setattr(trainings, "run_jobs", run_jobs)
        yield started


@pytest.fixture(scope="session")
def one_run(tiny, phantom):
    """Settings of a study of one run."""
    evaluate = {"replicates": 200}
    content = {**tiny.model_dump(), "cohort": phantom / "cohort", "evaluate": evaluate}
    return StudySettings.model_validate(content)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, one_run):
    """A finished study, and how often a file was put in its place on the way."""
    folder = tmp_path_factory.mktemp("study") / "study"
    counted = []
    original = durable.sync_folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "sync_folder", lambda f: counted.append(f) or original(f))
        patch.setattr(pool, "work", do_here)
        run_study(one_run, folder)
    return folder, len(counted)


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory, tiny):
    """Another hospital."""
    out = tmp_path_factory.mktemp("elsewhere") / "q"
    write_phantom(out, tiny.phantom, seed=2)
    return out


@pytest.fixture(scope="session")
def jobs_done_here():
    """What does a job in this process, to stand in for `pool.work` where one job runs at a time."""

    def work(job, _sign, _num_threads=None, _has_gpus=False):
        do_job(job)
        return 0, ""

    return work
