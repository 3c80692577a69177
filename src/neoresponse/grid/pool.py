"""Dask: jobs go to workers, on this machine or wherever a scheduler has them.

On this machine the scheduler and its workers are threads of this process, so nobody else can give
them anything to run; each job runs in a process of its own (`child.py`). Workers of a scheduler by
address do the same on their machines; they need this software and the study folder under the same
path.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Future, LocalCluster, get_worker

from neoresponse.errors import RunError
from neoresponse.grid.job import Job
from neoresponse.grid.workers import Workers

POLL_S = 0.5
WATCHED = ".watched"
UNWATCHED_S = 120
"""A job stops where whoever started it gave no sign for so long."""
_LOOPBACK = "127.0.0.1:0"
_NO_PAGES: dict[str, list[str]] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
"""Dask opens its ports for pages whatever one says: so none but this machine reaches them, and they
have nothing to show."""


class Pool:
    """Takes jobs."""

    def __init__(self, client: Client, folder: Path, workers: Workers | None) -> None:
        """Begin to watch.

        Args:
            client: of a running scheduler.
            folder: the study folder, where a sign of life is kept.
            workers: those of this machine; None where they are a scheduler's.
        """
        self._client, self._workers, self._sign = client, workers, folder.absolute() / WATCHED

    @property
    def num_workers(self) -> int:
        """How many jobs run at once; those of a scheduler may come and go."""
        if self._workers is not None:
            return self._workers.num
        found = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return max(1, sum(int(worker["nthreads"]) for worker in found))

    def submit(self, job: Job) -> Future:
        """Give a job to the next free worker; its result is (exit code, sentence)."""
        num_threads = self._workers.num_threads if self._workers else None
        if job.settings.train.num_threads is not None:
            num_threads = None  # the run rules
        has_gpus = bool(self._workers and self._workers.has_gpus)
        return self._client.submit(
            work, job.text, str(self._sign), num_threads, has_gpus, key=job.name, pure=False
        )

    def show_life(self) -> None:
        """Tell all jobs that somebody waits for them."""
        self._sign.touch()

    def ask_to_stop(self) -> None:
        """Tell all jobs to save and stop."""
        self._sign.unlink(missing_ok=True)


@contextmanager
def open_pool(folder: Path, workers: Workers | None, scheduler: str | None) -> Iterator[Pool]:
    """Workers on this machine, or those of a scheduler by address.

    Raises:
        RunError: no scheduler answers at that address.
    """
    if scheduler is None:
        assert workers is not None
        with dask.config.set(_NO_PAGES), _cluster(workers) as cluster, Client(cluster) as client:
            yield from _watched(Pool(client, folder, workers))
        return
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise RunError(
            f"compute.scheduler: expected a Dask scheduler at {scheduler}, got "
            f"{type(error).__name__}. Start one with `dask scheduler`, or leave the key out to "
            "train on this machine."
        ) from None
    with client:
        yield from _watched(Pool(client, folder, None))


def _cluster(workers: Workers) -> LocalCluster:
    """A scheduler and workers as threads of this process."""
    return LocalCluster(
        n_workers=workers.num,
        threads_per_worker=1,
        processes=False,
        dashboard_address=_LOOPBACK,
        worker_dashboard_address=_LOOPBACK,
        scheduler_kwargs={"dashboard": False},
        memory_limit=None,
        silence_logs=logging.CRITICAL,
    )


def work(
    job: str, sign: str, num_threads: int | None = None, has_gpus: bool = False
) -> tuple[int, str]:
    """Do one job in a process of its own; runs on a worker.

    Args:
        job: a line of JSON.
        sign: a file that is touched as long as somebody waits.
        num_threads: processor threads, where this machine's are shared out.
        has_gpus: whether the worker's number is also that of a GPU.

    Returns:
        Exit code, and the sentence of an error or nothing.
    """
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "neoresponse.grid.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=os.environ | _environment(num_threads, has_gpus=has_gpus),
        )
        assert child.stdin is not None
        assert child.stdout is not None
        with child.stdin, child.stdout:
            try:
                child.stdin.write(f"{job}\n".encode())
                child.stdin.flush()
                _wait(child, Path(sign))
            except OSError:  # it died before it could read
                child.wait()
            answer = child.stdout.read()
        said.seek(0)
        return child.returncode, _sentence(child.returncode, answer, said.read())


def _watched(pool: Pool) -> Iterator[Pool]:
    """Show life from the start; whatever happens, no job goes on alone."""
    pool.show_life()
    try:
        yield pool
    finally:
        pool.ask_to_stop()


def _environment(num_threads: int | None, *, has_gpus: bool) -> dict[str, str]:
    """What differs for a child."""
    changes = {}
    if num_threads is not None:
        changes["OMP_NUM_THREADS"] = str(num_threads)
    if has_gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else None
        number = int(get_worker().name)
        changes["CUDA_VISIBLE_DEVICES"] = names[number % len(names)] if names else str(number)
    return changes


def _wait(child: "subprocess.Popen[bytes]", sign: Path) -> None:
    """Until the child ends; ask it to where nobody waits any more."""
    seen, seen_at = None, time.monotonic()
    while True:
        try:
            child.wait(POLL_S)
            return
        except subprocess.TimeoutExpired:
            pass
        try:
            now = sign.stat().st_mtime_ns
        except OSError:
            now = None
        if now != seen:
            seen, seen_at = now, time.monotonic()
        # The clocks of two machines may differ: only the change of the sign is looked at.
        if now is None or time.monotonic() - seen_at > UNWATCHED_S:
            child.send_signal(signal.SIGTERM)
            child.wait()
            return


def _sentence(code: int, answer: bytes, said: bytes) -> str:
    """What a child said at its end, or what its end means."""
    if code == 0:
        return ""
    try:
        found: Any = json.loads(answer.splitlines()[-1])
        return str(found["error"])
    except (IndexError, ValueError, KeyError, TypeError):
        pass
    if code == -signal.SIGKILL:
        return (
            "the training process was killed, probably out of memory. Set train.micro_batch = 4 "
            "and run the same command again."
        )
    if code < 0:
        return f"the training process was stopped by signal {-code}. Run the same command again."
    last = said.decode(errors="replace").strip().splitlines()[-1:]
    return f"the training process failed with exit code {code} ({' '.join(last)[:200]})."
