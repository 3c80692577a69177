"""Many trainings side by side: each in a process of its own, dealt out by Dask.

jobs -> `workers.py` how many at once -> `pool.py` Dask, here or by address -> `child.py` one job in
its own process -> `run.py` waits for all and says who failed; `watch.py` is what one sees of it.

Nothing is imported here: each child would wait for Dask, which it does not need.
"""
