"""The recalibration of a run, fitted on its validation patients.

In: the validation group. Out: maps of probabilities, to be carried unchanged to every other group.
No test patient is seen here.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from neoresponse.contracts.groups import Group
from neoresponse.contracts.metrics import Recalibrated, RecalibrationMap
from neoresponse.evaluation.numbers import calibration
from neoresponse.settings import EvaluateSettings
from neoresponse.stats import (
    Isotonic,
    Platt,
    Temperature,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    has_both_classes,
)

NOT_BOTH = "not fitted: the validation patients do not include both outcomes"
NO_MAP = "not fitted: these validation patients have no finite best map"
Map = Platt | Temperature | Isotonic
FITS: Mapping[str, Callable[..., Map]] = {
    "platt": fit_platt,
    "temperature": fit_temperature,
    "isotonic": fit_isotonic,
}


@dataclass(frozen=True)
class Recalibration:
    """One kind of map.

    Attributes:
        fitted: the map, or None.
        note: why there is none, else empty.
        num_patients: validation patients that it was fitted on.
    """

    fitted: Map | None
    note: str
    num_patients: int

    def as_record(self) -> RecalibrationMap:
        """For `metrics.json`; of an isotonic map its points."""
        values = None if self.fitted is None else asdict(self.fitted)
        if isinstance(self.fitted, Isotonic):
            values = {
                "probability": self.fitted.probability.tolist(),
                "share": self.fitted.share.tolist(),
            }
        return RecalibrationMap(fitted=values, note=self.note, num_patients=self.num_patients)


def fit_recalibrations(validation: Group | None) -> dict[str, Recalibration]:
    """Platt's line, a temperature and an isotonic map, each fitted on validation patients."""
    return {name: _fit(fit, validation) for name, fit in FITS.items()}


def recalibrated(
    group: Group, maps: Mapping[str, Recalibration], settings: EvaluateSettings
) -> dict[str, Recalibrated]:
    """Calibration of a group after each map that could be fitted."""
    found = {}
    for name, one in maps.items():
        if one.fitted is not None:
            after = calibration(group.label, one.fitted.apply(group.probability), settings)
            found[name] = Recalibrated(
                **{key: getattr(after, key) for key in Recalibrated.model_fields}
            )
    return found


def _fit(fit: Callable[..., Map], validation: Group | None) -> Recalibration:
    """One map, or why there is none."""
    if validation is None or not has_both_classes(validation.label):
        return Recalibration(None, NOT_BOTH, 0 if validation is None else len(validation.label))
    num = len(validation.label)
    try:
        return Recalibration(fit(validation.label, validation.probability), "", num)
    except ValueError:  # a probability of 0 or 1, all equal, separated classes
        return Recalibration(None, NO_MAP, num)
