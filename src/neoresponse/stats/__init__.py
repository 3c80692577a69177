"""Arrays in, numbers with intervals out; float64, NumPy and SciPy only.

A label is 1 for pCR and 0 for residual disease; a higher probability means pCR. Nothing here flips
that direction: an AUC below 0.5 stays below 0.5.
"""

from neoresponse.stats.areas import (
    PrecisionRecallCurve,
    RocPart,
    area_under_precision,
    average_precision,
    bootstrap_area,
    partial_auc,
    precision_recall_curve,
)
from neoresponse.stats.bootstrap import Bootstrap
from neoresponse.stats.bootstrap_auc import bootstrap_auc, bootstrap_auc_difference
from neoresponse.stats.calibration import (
    BrierParts,
    CalibrationBin,
    CalibrationLine,
    brier_parts,
    brier_score,
    calibration_curve,
    calibration_line,
    expected_calibration_error,
    hosmer_lemeshow,
    log_loss,
    observed_over_expected,
    scaled_brier_score,
    spiegelhalter_test,
)
from neoresponse.stats.compare import (
    Comparison,
    delong_covariance,
    equal_aucs_test,
    heterogeneity_test,
    mcnemar_tests,
    paired_delong,
    unpaired_delong,
)
from neoresponse.stats.contingency import (
    chi_square,
    expected_counts,
    odds_ratio,
)
from neoresponse.stats.cross_validated import compare_cross_validated, cross_validated_auc
from neoresponse.stats.decision import (
    DecisionCurve,
    decision_curve,
    net_benefit,
    net_benefit_differences,
)
from neoresponse.stats.discrimination import (
    Placements,
    RocCurve,
    auc,
    has_both_classes,
    placements,
    roc_curve,
)
from neoresponse.stats.fisher import fisher_odds_ratio, fisher_test
from neoresponse.stats.groups import (
    MeanDifference,
    Summary,
    kruskal_wallis,
    means_test,
    standardized_difference,
    summary,
    t_test,
)
from neoresponse.stats.interval import (
    auc_interval,
    delong_interval,
    delong_variance,
    hanley_mcneil_error,
    newcombe_interval,
)
from neoresponse.stats.logistic import fit_logistic, logistic_probability
from neoresponse.stats.measures import bootstrap_measures, count_measures
from neoresponse.stats.proportion import (
    clopper_pearson_interval,
    proportion_interval,
    wilson_interval,
)
from neoresponse.stats.rank_sum import mann_whitney
from neoresponse.stats.recalibration import (
    Isotonic,
    Platt,
    Temperature,
    fit_isotonic,
    fit_platt,
    fit_temperature,
)
from neoresponse.stats.regression import (
    LogisticModel,
    Term,
    firth_model,
    logistic_model,
    nested_models_test,
    odds_ratio_of,
)
from neoresponse.stats.samplesize import (
    DevelopmentSize,
    development_size,
    validation_size_for_auc,
    validation_size_for_ratio,
)
from neoresponse.stats.scores import (
    BinnedBrier,
    binned_brier,
    bootstrap_brier,
    calibration_error_by_chance,
    log_score_difference,
    score_step,
)
from neoresponse.stats.significance import Significance, adjust_p_values
from neoresponse.stats.threshold import (
    Confusion,
    confusion,
    corner_threshold,
    cost_threshold,
    rates,
    sensitivity_threshold,
    youden_threshold,
)

__all__ = [
    "BinnedBrier",
    "Bootstrap",
    "BrierParts",
    "CalibrationBin",
    "CalibrationLine",
    "Comparison",
    "Confusion",
    "DecisionCurve",
    "DevelopmentSize",
    "Isotonic",
    "LogisticModel",
    "MeanDifference",
    "Placements",
    "Platt",
    "PrecisionRecallCurve",
    "RocCurve",
    "RocPart",
    "Significance",
    "Summary",
    "Temperature",
    "Term",
    "adjust_p_values",
    "area_under_precision",
    "auc",
    "auc_interval",
    "average_precision",
    "binned_brier",
    "bootstrap_area",
    "bootstrap_auc",
    "bootstrap_auc_difference",
    "bootstrap_brier",
    "bootstrap_measures",
    "brier_parts",
    "brier_score",
    "calibration_curve",
    "calibration_error_by_chance",
    "calibration_line",
    "chi_square",
    "clopper_pearson_interval",
    "compare_cross_validated",
    "confusion",
    "corner_threshold",
    "cost_threshold",
    "count_measures",
    "cross_validated_auc",
    "decision_curve",
    "delong_covariance",
    "delong_interval",
    "delong_variance",
    "development_size",
    "equal_aucs_test",
    "expected_calibration_error",
    "expected_counts",
    "firth_model",
    "fisher_odds_ratio",
    "fisher_test",
    "fit_isotonic",
    "fit_logistic",
    "fit_platt",
    "fit_temperature",
    "hanley_mcneil_error",
    "has_both_classes",
    "heterogeneity_test",
    "hosmer_lemeshow",
    "kruskal_wallis",
    "log_loss",
    "log_score_difference",
    "logistic_model",
    "logistic_probability",
    "mann_whitney",
    "mcnemar_tests",
    "means_test",
    "nested_models_test",
    "net_benefit",
    "net_benefit_differences",
    "newcombe_interval",
    "observed_over_expected",
    "odds_ratio",
    "odds_ratio_of",
    "paired_delong",
    "partial_auc",
    "placements",
    "precision_recall_curve",
    "proportion_interval",
    "rates",
    "roc_curve",
    "scaled_brier_score",
    "score_step",
    "sensitivity_threshold",
    "spiegelhalter_test",
    "standardized_difference",
    "summary",
    "t_test",
    "unpaired_delong",
    "validation_size_for_auc",
    "validation_size_for_ratio",
    "wilson_interval",
    "youden_threshold",
]
