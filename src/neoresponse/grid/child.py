"""One job in a process of its own: a line of JSON comes in at the standard input, files come out.

The input stays open as long as whoever started the job is there. When it closes, the job is asked
to stop as by SIGTERM: a training saves its state. The last line of the output says how it ended.
"""

import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from neoresponse.cohort.split import Assignment, read_split
from neoresponse.contracts.predictions import CARD_NAME
from neoresponse.durable import make_folder, only_one
from neoresponse.errors import NeoresponseError
from neoresponse.folders import new_folder
from neoresponse.preprocess.store import Store, open_store
from neoresponse.settings import RunSettings
from neoresponse.training.outputs import predict_new, predict_run
from neoresponse.training.run import RUN, is_same_run, train_run

WAIT_S = 600
"""For a process that is about to end its last step, save and leave."""


def main() -> int:
    """Do the job; the exit code is that of the command line."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        do_job(job)
    except NeoresponseError as error:
        print(json.dumps({"error": f"{error}"}), flush=True)
        return error.exit_code
    print(json.dumps({"error": None}), flush=True)
    return 0


def do_job(content: dict[str, Any]) -> None:
    """Do what a job says.

    Args:
        content: of the job.

    Raises:
        NeoresponseError: it cannot be done, or was asked to stop.
    """
    rest = {key: value for key, value in content.items() if key != "do"}
    do = _train if content["do"] == "train" else _predict
    do(**rest)


def _train(
    settings: Any,  # noqa: ANN401 (JSON)
    is_trained: bool,
    prepared: str,
    split: str,
    run: str,
) -> None:
    """Train a run, or go on with it, and predict its split."""
    folder, store = Path(run), open_store(Path(prepared))
    if not is_trained:
        _fit(RunSettings.model_validate(settings), folder, store, read_split(Path(split)))
    predict_run(folder, store)


def _fit(
    settings: RunSettings, folder: Path, store: Store, assignments: tuple[Assignment, ...]
) -> None:
    """Train a run, or go on with it; what is left of another one in its folder goes."""
    make_folder(folder)
    with only_one(folder, wait_s=WAIT_S):
        is_same = is_same_run(folder, settings, store, assignments)
        if is_same:
            # Whole epochs that are on disk are not trained again; what is lost is written anew.
            (folder / RUN).unlink(missing_ok=True)
    if not is_same:
        shutil.rmtree(folder, ignore_errors=True)
    train_run(store, assignments, settings, folder)


def _predict(prepared: str, run: str, out: str) -> None:
    """Predict a cohort that a run has not seen."""
    with new_folder(Path(out), mark=CARD_NAME, force=True, keep_old=False) as part:
        predict_new(Path(run), open_store(Path(prepared)), part)


def _end_with_parent() -> None:
    """Ask this process to stop once nobody holds its input open."""
    # Not through sys.stdin: its lock, held by this thread, would disturb the end of the process.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
