"""A finished study of one tiny run, made in this process, and the jobs that a study starts."""

import json

import pytest

from neoresponse import durable
from neoresponse.grid import pool
from neoresponse.grid.child import do_job
from neoresponse.phantom.writer import write_phantom
from neoresponse.settings import StudySettings
from neoresponse.study import run_study


@pytest.fixture(scope="module")
def jobs():
    """Every job that studies of this module start, done here: a process takes seconds to start."""
    started = []

    def do_here(job, _sign, _num_threads=None, _has_gpus=False):
        started.append(json.loads(job))
        do_job(job)
        return 0, ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "work", do_here)
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

    def do_here(job, *_rest):
        do_job(job)
        return 0, ""

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
