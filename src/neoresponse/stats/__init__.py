"""Arrays in, numbers with intervals out; float64, NumPy and SciPy only.

A label is 1 for pCR and 0 for residual disease; a higher probability means pCR. Nothing here flips
that direction: an AUC below 0.5 stays below 0.5.
"""

from neoresponse.stats.compare import Comparison, paired_delong
from neoresponse.stats.discrimination import (
    Placements,
    RocCurve,
    auc,
    has_both_classes,
    placements,
    roc_curve,
)
from neoresponse.stats.interval import delong_interval, delong_variance, wilson_interval
from neoresponse.stats.logistic import fit_logistic, logistic_probability
from neoresponse.stats.threshold import Confusion, confusion, rates, youden_threshold

__all__ = [
    "Comparison",
    "Confusion",
    "Placements",
    "RocCurve",
    "auc",
    "confusion",
    "delong_interval",
    "delong_variance",
    "fit_logistic",
    "has_both_classes",
    "logistic_probability",
    "paired_delong",
    "placements",
    "rates",
    "roc_curve",
    "wilson_interval",
    "youden_threshold",
]
