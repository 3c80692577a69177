"""Many trainings side by side: each in a process of its own, dealt out by Dask.

jobs -> `workers.py` how many at once -> `pool.py` Dask, here or by address -> `child.py` one job in
its own process -> `run.py` waits for all and says who failed; `watch.py` is what one sees of it.
"""

from neoresponse.grid.job import Job
from neoresponse.grid.run import Place, run_jobs
from neoresponse.grid.watch import JobState, Watch, unwatched

__all__ = ["Job", "JobState", "Place", "Watch", "run_jobs", "unwatched"]
