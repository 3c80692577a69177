"""Jobs of a study without processes of their own, which take seconds each to start."""

import json

import pytest

from neoresponse.grid.child import do_job


@pytest.fixture(scope="session")
def jobs_done_here():
    """What does a job in this process, to stand in for `pool.work` where one job runs at a time."""

    def work(job, _sign, _num_threads=None, _has_gpus=False):
        do_job(json.loads(job))
        return 0, ""

    return work
