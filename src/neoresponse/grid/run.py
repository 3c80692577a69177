"""Jobs -> all done, or who failed and why; one that fails does not stop the others."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from distributed import CancelledError, Future, KilledWorker
from distributed import wait as wait_for

from neoresponse.errors import Stopped
from neoresponse.grid.job import Job
from neoresponse.grid.pool import Pool, open_pool
from neoresponse.grid.watch import Observer, Watch, unwatched
from neoresponse.grid.workers import Workers, say_what_fits_beside
from neoresponse.training.stop import StopRequest, stop_on_signals

LOOK_S = 0.5


@dataclass(frozen=True)
class Place:
    """Where jobs run, and who watches.

    Attributes:
        folder: the study folder.
        workers: those of this machine; None where a scheduler has them.
        scheduler: its address, or None.
        watch: shows all jobs.
    """

    folder: Path
    workers: Workers | None
    scheduler: str | None = None
    watch: Watch = unwatched


def run_jobs(
    jobs: Sequence[Job], place: Place, *, finished: Callable[[Job], None]
) -> dict[str, str]:
    """Do all jobs, as many at once as there are workers.

    Args:
        jobs: in the order in which they begin.
        place: where they run.
        finished: called here for each job that ended well, as it ends.

    Returns:
        Name of each job that failed -> why.

    Raises:
        Stopped: a signal asked for it; every training has saved its state.
        RunError: there is no scheduler at the address.
    """
    if not jobs:
        return {}
    with (
        stop_on_signals() as stop,
        open_pool(place.folder, place.workers, place.scheduler) as pool,
    ):
        return _run(jobs, pool, place.watch, finished, stop)


def _run(
    jobs: Sequence[Job],
    pool: Pool,
    watch: Watch,
    finished: Callable[[Job], None],
    stop: StopRequest,
) -> dict[str, str]:
    """Hand out jobs as workers come free, and look at them in between."""
    observer = Observer(jobs, num_workers=pool.num_workers)
    waiting, failures = list(jobs), dict[str, str]()
    running: dict[Future, Job] = {}
    while waiting or running:
        while waiting and len(running) < pool.num_workers and stop.signal_number is None:
            job = waiting.pop(0)
            running[pool.submit(job)] = job
            observer.mark(job.name, "training")
        for future in _ended(list(running)):
            job = running.pop(future)
            code, sentence = _result(future)
            if code == -signal.SIGKILL:
                sentence += say_what_fits_beside(job.settings, pool.num_workers)
            if code == 0:
                finished(job)
            else:
                failures[job.name] = sentence
            observer.mark(job.name, "failed" if code else "done", sentence)
        if stop.signal_number is not None:
            pool.ask_to_stop()
            waiting.clear()
        else:
            pool.show_life()
        observer.look(time.monotonic())
        watch(list(observer.states.values()), observer.left_s())
    if stop.signal_number is not None:
        raise Stopped(
            f"{stop.name} while trainings were running; everything is saved. Run the same "
            "command again to continue.",
            stop.signal_number,
        )
    return failures


def _result(future: Future) -> tuple[int, str]:
    """Exit code and sentence of a job, whatever became of its worker."""
    try:
        code, sentence = future.result()
    except (KilledWorker, CancelledError, OSError) as error:
        return 1, (
            f"expected an answer of its Dask worker, got {type(error).__name__}. See whether the "
            "worker still runs, and run the same command again."
        )
    return int(code), str(sentence)


def _ended(running: Sequence[Future]) -> list[Future]:
    """Those that have ended, after waiting a moment for one of them."""
    if not running:
        return []
    try:
        return list(wait_for(running, timeout=LOOK_S, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        return []
