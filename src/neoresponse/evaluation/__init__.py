"""`predictions.csv` of every run -> `metrics.json`: all the numbers of a study."""

from neoresponse.contracts.metrics import read_metrics, write_metrics
from neoresponse.evaluation.evaluate import evaluate

__all__ = ["evaluate", "read_metrics", "write_metrics"]
