"""One job in a process of its own: a line of JSON comes in at the standard input, files come out.

The input stays open as long as whoever started the job is there. When it closes, the job is asked
to stop as by SIGTERM: a training saves its state. The last line of the output says how it ended.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from neoresponse.cohort.split import Assignment, read_split
from neoresponse.contracts.predictions import PredictionsCard
from neoresponse.contracts.run import find_inputs
from neoresponse.durable import make_folder, only_one
from neoresponse.errors import NeoresponseError
from neoresponse.folders import new_folder
from neoresponse.grid.job import PredictingTask, TrainingTask, read_task
from neoresponse.preprocess.store import Store, open_store
from neoresponse.settings import RunSettings
from neoresponse.training.outputs import predict_new, predict_run
from neoresponse.training.run import RUN, run_inputs, train_run

WAIT_S = 600
"""For a process that is about to end its last step, save and leave."""


def main() -> int:
    """Do the job; the exit code is that of the command line."""
    job = sys.stdin.readline()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        do_job(job)
    except NeoresponseError as error:
        print(json.dumps({"error": f"{error}"}), flush=True)
        return error.exit_code
    print(json.dumps({"error": None}), flush=True)
    return 0


def do_job(text: str) -> None:
    """Do what a job says.

    Args:
        text: of the job, one line of JSON.

    Raises:
        NeoresponseError: it cannot be done, or was asked to stop.
    """
    task = read_task(text)
    if isinstance(task, TrainingTask):
        _train(task)
    else:
        _predict(task)


def _train(task: TrainingTask) -> None:
    """Train a run, or go on with it, and predict its split."""
    store = open_store(task.prepared)
    if not task.is_trained:
        _fit(task.settings, task.run, store, read_split(task.split))
    predict_run(task.run, store)


def _fit(
    settings: RunSettings, folder: Path, store: Store, assignments: tuple[Assignment, ...]
) -> None:
    """Train a run, or go on with it."""
    make_folder(folder)
    with only_one(folder, wait_s=WAIT_S):
        if find_inputs(folder) == run_inputs(settings, store.folder, assignments):
            # Whole epochs that are on disk are not trained again; what is lost is written anew.
            (folder / RUN).unlink(missing_ok=True)
    train_run(store, assignments, settings, folder)


def _predict(task: PredictingTask) -> None:
    """Predict a cohort that a run has not seen."""
    mark = PredictionsCard.FILE_NAME
    with new_folder(task.out, mark=mark, force=True, keep_old=False) as part:
        predict_new(task.run, open_store(task.prepared), part)


def _end_with_parent() -> None:
    """Ask this process to stop once nobody holds its input open."""
    # Not through sys.stdin: its lock, held by this thread, would disturb the end of the process.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
