"""Frozen settings, one file per section; a wrong key or pair stops before any work."""

from neoresponse.settings.evaluate import EvaluateSettings
from neoresponse.settings.explain import ExplainSettings
from neoresponse.settings.model import ModelSettings
from neoresponse.settings.phantom import PhantomSettings
from neoresponse.settings.prepare import PrepareSettings
from neoresponse.settings.run import RunSettings
from neoresponse.settings.search import DimensionSettings, SearchSettings
from neoresponse.settings.section import Section, Settings, merge
from neoresponse.settings.split import SplitSettings
from neoresponse.settings.study import (
    CHOSEN,
    ComputeSettings,
    CrossValidationSettings,
    StudySettings,
)
from neoresponse.settings.train import AugmentSettings, TrainSettings, VarySettings

__all__ = [
    "CHOSEN",
    "AugmentSettings",
    "ComputeSettings",
    "CrossValidationSettings",
    "DimensionSettings",
    "EvaluateSettings",
    "ExplainSettings",
    "ModelSettings",
    "PhantomSettings",
    "PrepareSettings",
    "RunSettings",
    "SearchSettings",
    "Section",
    "Settings",
    "SplitSettings",
    "StudySettings",
    "TrainSettings",
    "VarySettings",
    "merge",
]
