"""`predictions.csv` of every run -> `metrics.json`: all the numbers of a study."""

from neoresponse.evaluation.evaluate import evaluate

__all__ = ["evaluate"]
