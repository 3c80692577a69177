"""`predictions.csv` of every run -> `metrics.json`: all the numbers of a study."""

from neoresponse.evaluation.evaluate import evaluate
from neoresponse.evaluation.metrics_file import read_metrics, write_metrics

__all__ = ["evaluate", "read_metrics", "write_metrics"]
