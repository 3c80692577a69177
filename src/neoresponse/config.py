"""Frozen settings; an unknown key or an impossible pair stops before any work."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from neoresponse.search_settings import SearchSettings
from neoresponse.train_settings import AugmentSettings, Settings, TrainSettings, VarySettings

__all__ = [
    "CLINICAL_FLOOR",
    "AugmentSettings",
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
    "TrainSettings",
    "VarySettings",
    "merge",
]
Section = dict[str, Any]


class PhantomSettings(Settings):
    """The simulated hospital."""

    num_patients: int = Field(596, ge=1, le=99_999)
    """Patients to make; 596 gives the published counts of pCR and of multifocal tumours."""
    preset: Literal["guo2024", "easy", "null", "clinical-only"] = "guo2024"
    """How strongly outcome shows: as published, strongly, not in images, only in clinical data."""
    frame_px: int = Field(512, ge=96, le=2048)
    """Side of the square B-mode picture inside each ultrasound frame, in pixels."""
    region_px: int = Field(1536, ge=96, le=8192)
    """Side of the outlined square on each slide, in pixels of level 0."""
    mpp: float = Field(0.5, gt=0.05, le=8)
    """Micrometres per pixel of level 0 of each slide."""
    table: Literal["csv", "xlsx"] = "csv"
    """File type of the patient table."""
    stress: Literal[
        "none",
        "gain",
        "depth",
        "probe",
        "speckle",
        "outline",
        "plane",
        "stain",
        "focus",
        "jpeg",
        "shift",
    ] = "none"
    """One thing made worse in all pictures or outlines, for stress tests of a trained model."""
    dose: float = Field(0.0, ge=0, le=10)
    """How much worse: 0 changes nothing, 1 is about as far as machines and people differ."""

    @model_validator(mode="after")
    def _dose_has_a_stress(self) -> Self:
        if self.dose and self.stress == "none":
            raise ValueError(f"dose must be 0 where stress is none, got {self.dose}")
        return self


class SplitSettings(Settings):
    """Who is trained on; by patient, stratified by pCR, before anything is fitted."""

    sizes: tuple[int, int, int] | None = None
    """Patients in train, validation and TC1; without it the ratio decides."""
    ratio: tuple[float, float, float] = (8, 1, 1)
    """Shares of train, validation and TC1 where no sizes are named."""
    multifocal: Literal["TC2", "mixed"] = "TC2"
    """Multifocal patients form test cohort TC2, or are split like all others."""


class PrepareSettings(Settings):
    """Pixels ready to learn from."""

    image_px: int = Field(512, ge=32, le=2048)
    """Side of every network input, ultrasound crop and biopsy patch alike, in pixels."""
    region_px: int = Field(1536, ge=96, le=8192)
    """Side to which the outlined biopsy region is standardised before it is cut into patches."""
    margin_ratio: float = Field(0.3, ge=0, le=3)
    """Tissue kept around the lesion on each side, as a share of its longest side."""
    us_1_window: Literal["same", "own"] = "same"
    """US-1 crop: as many mm wide as the US-0 crop, so shrinkage shows; or fitted to itself."""

    @model_validator(mode="after")
    def _grid_fits(self) -> Self:
        if self.region_px % self.image_px:
            raise ValueError(
                f"region_px must be a multiple of image_px, got {self.region_px} and "
                f"{self.image_px}"
            )
        return self

    @property
    def num_patches(self) -> int:
        """Patches per biopsy."""
        return (self.region_px // self.image_px) ** 2


class ModelSettings(Settings):
    """The network, as parts."""

    backbone: str = "crossformer"
    """`crossformer`, or the timm name of another backbone such as `resnet50`."""
    pathways: tuple[Literal["patho_ult", "dou_ult", "biopsy", "us_0", "us_1"], ...] = (
        "patho_ult",
        "dou_ult",
    )
    """Image pathways: biopsy + US-0, US-0 + US-1, or one image alone."""
    clinical: bool = True
    """Whether the four clinical variables join at the head."""
    size: Literal["T", "S", "B", "L"] | None = None
    """A published CrossFormer size, in place of `embed_dim`, `depths` and `num_heads`."""
    embed_dim: int = Field(64, ge=8)
    """Width of the first CrossFormer stage; doubled at each further stage."""
    depths: tuple[int, int, int, int] = (1, 1, 8, 6)
    """Blocks per CrossFormer stage."""
    num_heads: tuple[int, int, int, int] = (2, 4, 8, 16)
    """Attention heads per CrossFormer stage."""
    group_size: int = Field(8, ge=1)
    """Side of an attention group, in tokens."""
    intervals: tuple[int, int, int, int] | None = None
    """Distance of tokens in long-distance attention; else map side / group size, rounded up."""
    mlp_ratio: float = Field(4.0, gt=0)
    """Hidden width of a block's MLP, as a multiple of its width."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """Largest rate of dropped residual branches, rising linearly with depth."""
    se: bool = True
    """Squeeze-and-excitation in each cross-scale embedding."""
    se_ratio: int = Field(16, ge=1)
    """Reduction of the squeeze-and-excitation bottleneck."""
    se_place: Literal["after_concat", "per_scale", "after_norm", "joint"] = "after_concat"
    """Excitation of all scales together, of each alone, after the norm, or of both streams."""
    dou_ult: Literal["coherence", "late_difference", "merge_after_stage_1"] = "coherence"
    """How time points meet: coherence module, [v0, v1, v1 - v0] at the neck, or one early map."""
    coherence_stages: tuple[Literal[1, 2, 3, 4], ...] = (1, 2)
    """Stages after which the ultrasound coherence module shares features between time points."""
    neck_dim: int = Field(8, ge=1)
    """Features that each pathway hands to the fusion."""
    neck: Literal["joint", "per_image"] = "joint"
    """One layer over all images of a pathway, or one per image with an equal share of features."""
    patch_pooling: Literal["mean", "attention"] = "mean"
    """Patches of a biopsy: the mean of their probabilities, or learned attention over vectors."""
    share_ultrasound_trunk: bool = False
    """One trunk for ultrasound in both pathways: 11 trunk passes per patient, not 12."""
    weights: Path | None = None
    """Local file with pretrained backbone weights (safetensors), or none."""
    pretrained: bool = False
    """Fetch a timm backbone's published weights (safetensors) from the Hugging Face hub."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_size(cls, content: Any) -> Any:  # noqa: ANN401 (whatever was given)
        sizes = {  # a test holds these against the network's own table
            "T": (64, (1, 1, 8, 6), (2, 4, 8, 16)),
            "S": (96, (2, 2, 6, 2), (3, 6, 12, 24)),
            "B": (96, (2, 2, 18, 2), (3, 6, 12, 24)),
            "L": (128, (2, 2, 18, 2), (4, 8, 16, 32)),
        }
        name = content.get("size") if isinstance(content, dict) else None
        if not isinstance(name, str) or name not in sizes:
            return content
        of_size = dict(zip(("embed_dim", "depths", "num_heads"), sizes[name], strict=True))
        for key, value in of_size.items():
            given = content.get(key, value)
            given = tuple(given) if isinstance(given, list) else given
            # Files spell out defaults; anything else is a wish that the size cannot meet.
            if given not in (value, cls.model_fields[key].default):
                raise ValueError(f"size {name!r} means {key} {value}, got {given}; leave one out")
        return {**content, **of_size}

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        pathways = set(self.pathways)
        if self.neck == "per_image" and pathways & {"patho_ult", "dou_ult"}:
            if self.neck_dim % 2:
                raise ValueError(f"neck per_image needs an even neck_dim, got {self.neck_dim}")
            if "dou_ult" in pathways and self.dou_ult != "coherence":
                raise ValueError(f"neck per_image has no place for dou_ult {self.dou_ult}")
        if self.share_ultrasound_trunk and {"patho_ult", "dou_ult"} <= pathways:
            if self.dou_ult == "merge_after_stage_1":
                raise ValueError("dou_ult merge_after_stage_1 leaves no US-0 vector to be shared")
            if self.se and self.se_place == "joint":
                raise ValueError("se_place joint needs both trunks in patho_ult, not a shared one")
        if self.weights is not None and self.pretrained:
            raise ValueError("weights and pretrained exclude each other; leave one out")
        return self

    @model_validator(mode="after")
    def _backbone_has_them(self) -> Self:
        own = ("size", "intervals", "se_place")
        named = [key for key in own if getattr(self, key) != type(self).model_fields[key].default]
        if named and self.backbone != "crossformer":
            raise ValueError(
                f"backbone {self.backbone} has no {named[0]}, which is CrossFormer's; leave it out"
            )
        is_joint = self.se and self.se_place == "joint" and "patho_ult" in self.pathways
        if is_joint and self.patch_pooling == "attention":
            raise ValueError(
                "patch_pooling attention needs a vector of each patch alone, which se_place joint "
                "has not in patho_ult"
            )
        return self

    @model_validator(mode="after")
    def _has_an_input(self) -> Self:
        if not self.pathways and not self.clinical:
            raise ValueError("pathways is empty and clinical is off: the network has no input")
        if len(set(self.pathways)) != len(self.pathways):
            raise ValueError(f"pathways must differ, got {list(self.pathways)}")
        return self


class EvaluateSettings(Settings):
    """The numbers."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of every interval."""
    threshold: Literal["youden", "half", "sensitivity", "cost"] = "youden"
    """Cut chosen on validation patients: best Youden index, a sensitivity, least cost; or 0.5."""
    sensitivity: float = Field(0.9, gt=0, le=1)
    """With `threshold = "sensitivity"`: share of pCR patients that the cut must find."""
    cost_ratio: float = Field(1.0, gt=0, le=1000)
    """With `threshold = "cost"`: cost of calling residual disease pCR over that of missing pCR."""
    decision_thresholds: tuple[float, ...] = Field((0.2, 0.35, 0.5), min_length=1, max_length=9)
    """Probabilities from which one would act, in (0, 1): net benefit is printed at each."""
    ki67_cut_percent: float = Field(20.0, gt=0, le=100)
    """Subgroups of Ki-67: below this, and at or above it."""
    replicates: int = Field(2000, ge=200, le=100_000)
    """Bootstrap draws behind each interval that has no formula."""
    bootstrap_seed: int = Field(1, ge=0)
    """Where these draws start; the same seed gives the same intervals."""

    @model_validator(mode="after")
    def _thresholds_are_probabilities(self) -> Self:
        if not all(0 < value < 1 for value in self.decision_thresholds):
            raise ValueError(
                f"decision_thresholds must lie between 0 and 1, got {self.decision_thresholds}"
            )
        return self


class ExplainSettings(Settings):
    """The heat maps."""

    stage: Literal[1, 2, 3, 4] = 3
    """Stage whose map Grad-CAM weighs; 3 has stride 16, 4 has stride 32."""
    num_patients: int = Field(6, ge=1)
    """How many test patients are shown, half of them pCR."""


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


CLINICAL_FLOOR = "clinical_floor"
"""Name of the logistic regression on the four clinical variables that stands beside every run."""
FLOORS = (CLINICAL_FLOOR, "subtype_floor", "size_change_floor")
"""What stands beside every run without an image: the four variables, subtype alone, and how much
smaller the lesion became."""


def merge(base: Section, change: Section) -> Section:
    """Lay `change` over `base`, section by section; neither is changed."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge(old, value) if both and isinstance(old, dict) else value
    return merged
