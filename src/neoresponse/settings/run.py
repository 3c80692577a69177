"""One training, whole: every section that a run reads."""

from pydantic import Field

from neoresponse.settings.evaluate import EvaluateSettings
from neoresponse.settings.explain import ExplainSettings
from neoresponse.settings.model import ModelSettings
from neoresponse.settings.phantom import PhantomSettings
from neoresponse.settings.prepare import PrepareSettings
from neoresponse.settings.search import SearchSettings
from neoresponse.settings.section import Settings
from neoresponse.settings.split import SplitSettings
from neoresponse.settings.train import TrainSettings


class RunSettings(Settings):
    """One training, whole: what `config.toml` in a run folder holds."""

    seed: int = Field(1, ge=0)
    """The one seed; split, initial weights, order and augmentation all follow from it."""
    split: SplitSettings = SplitSettings()
    """Who is trained on."""
    prepare: PrepareSettings = PrepareSettings()
    """How pixels are made."""
    model: ModelSettings = ModelSettings()
    """The network."""
    train: TrainSettings = TrainSettings()
    """The recipe."""
    evaluate: EvaluateSettings = EvaluateSettings()
    """The numbers."""
    explain: ExplainSettings = ExplainSettings()
    """The heat maps."""
    phantom: PhantomSettings = PhantomSettings()
    """The simulated hospital, where one is made."""
    search: SearchSettings = SearchSettings()
    """What the verb `search` varies; nothing else reads it."""
