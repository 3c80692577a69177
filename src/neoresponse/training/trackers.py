"""Each epoch's numbers for TensorBoard and MLflow, where they are asked for and installed.

Both write into the run folder, and nothing is sent anywhere.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from neoresponse.durable import read_json, write_json
from neoresponse.errors import MissingExtraError
from neoresponse.settings import TrainSettings
from neoresponse.training.keep import Row

Tracker = Callable[[Sequence[Row]], None]
"""Takes all epochs so far, and tells those that were not told yet."""
TENSORBOARD, MLFLOW = "tensorboard", "mlflow"
MLFLOW_SCHEMA = "neoresponse.mlflow/1"


@contextmanager
def start_trackers(folder: Path, settings: TrainSettings) -> Iterator[Sequence[Tracker]]:
    """Open what the settings name; closed at the end.

    Args:
        folder: the run folder.
        settings: `trackers` names them.

    Raises:
        MissingExtraError: one is not installed.
    """
    makers = {TENSORBOARD: _tensorboard, MLFLOW: _mlflow}
    with ExitStack() as stack:
        yield [stack.enter_context(makers[name](folder, settings)) for name in settings.trackers]


@contextmanager
def _tensorboard(folder: Path, settings: TrainSettings) -> Iterator[Tracker]:
    """Scalars for `tensorboard --logdir`; what was told before a stop is told anew in its place."""
    board = _installed("torch.utils.tensorboard", TENSORBOARD)
    writer = board.SummaryWriter(log_dir=str(folder / TENSORBOARD), purge_step=0)

    def tell_one(row: Row) -> None:
        for name, value in row.items():
            writer.add_scalar(name, value, int(row["epoch"]))
        writer.flush()

    try:
        yield _each_once(tell_one, told=set())
    finally:
        writer.close()


@contextmanager
def _mlflow(folder: Path, settings: TrainSettings) -> Iterator[Tracker]:
    """Metrics and settings in a database file of the run folder, for `mlflow ui`."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at its import
    client = _installed("mlflow", MLFLOW).MlflowClient(f"sqlite:///{folder / MLFLOW}.db")
    known = folder / f"{MLFLOW}.json"
    if known.exists():
        run_id = read_json(known, schema=MLFLOW_SCHEMA)["run_id"]
    else:
        run_id = client.create_run("0", run_name=folder.name).info.run_id
        for name, value in settings.model_dump(mode="json").items():
            client.log_param(run_id, name, value)
        write_json(known, {"schema": MLFLOW_SCHEMA, "run_id": run_id})

    def tell_one(row: Row) -> None:
        for name, value in row.items():  # the epoch itself last: it says that all are there
            if name != "epoch":
                client.log_metric(run_id, name, value, step=int(row["epoch"]))
        client.log_metric(run_id, "epoch", row["epoch"], step=int(row["epoch"]))

    told = {metric.step for metric in client.get_metric_history(run_id, "epoch")}
    yield _each_once(tell_one, told=told)
    client.set_terminated(run_id)


def _each_once(tell_one: Callable[[Row], None], *, told: set[int]) -> Tracker:
    """A tracker that leaves out epochs it has told."""

    def tell(history: Sequence[Row]) -> None:
        for row in history:
            if row["epoch"] not in told:
                tell_one(row)
                told.add(int(row["epoch"]))

    return tell


def _installed(module: str, extra: str) -> Any:  # noqa: ANN401 (a module without types)
    """Import an optional package."""
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtraError(
            f"train.trackers: expected the package {extra}, which is not installed. "
            f"Install it with `pip install 'neoresponse[{extra}]'`, or remove it from the list."
        ) from None
