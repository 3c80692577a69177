"""`predictions.csv` of every run -> `metrics.json`: all the numbers of a study."""

from neoresponse.evaluation.evaluate import evaluate, read_metrics, write_metrics

__all__ = ["evaluate", "read_metrics", "write_metrics"]
