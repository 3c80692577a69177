"""[train]: the recipe, and how its samples are varied."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from neoresponse.settings.section import Settings


class AugmentSettings(Settings):
    """Fixed variants of each training sample, as the study made them once before training."""

    flips: bool = True
    """Show each training pCR patient flipped up-down and left-right too, where that brings the
    classes nearer to equal numbers."""
    num_variants: int = Field(4, ge=0)
    """Rotated and scaled variants beside each sample, shared by biopsy and ultrasound."""
    us_factor: int = Field(4, ge=1)
    """Ultrasound versions of each sample: itself, and further ones changed a second time."""
    max_rotation_deg: float = Field(10, ge=0, le=180)
    """Largest rotation to either side in one change, in degrees; two changes add up."""
    max_scaling: float = Field(0.1, ge=0, lt=1)
    """Scaling in one change lies between 1 - this and 1 + this; two changes multiply."""

    def flips_pcr(self, label: Sequence[int]) -> bool:
        """Whether pCR patients are flipped: only where that brings the classes nearer in ratio.

        As published, 105 : 286 becomes 315 : 286; 15 : 14 would become 45 : 14 and stays.

        Args:
            label: of the training patients, 1 for pCR.
        """
        num_pcr = sum(label)
        num_residual = len(label) - num_pcr
        # max(a / b, b / a) falls from a to 3a exactly where b is more than a times the root of 3.
        return self.flips and num_residual**2 > 3 * num_pcr**2


class VarySettings(Settings):
    """Random changes each time a sample is used, in addition to the fixed variants."""

    flips: bool = False
    """Flip at random: the biopsy in both directions, both ultrasound frames left-right only."""
    max_rotation_deg: float = Field(0, ge=0, le=180)
    """Largest further rotation to either side, in degrees; of the biopsy, and of both frames."""
    max_scaling: float = Field(0, ge=0, lt=1)
    """Further scaling between 1 - this and 1 + this; of the biopsy, and of both frames."""
    stain: float = Field(0, ge=0, lt=1)
    """Largest change of each stain of the biopsy (haematoxylin, eosin, the rest), as a share."""
    gain: float = Field(0, ge=0, lt=1)
    """Largest change of ultrasound brightness, as a share; the same at both time points."""
    speckle: float = Field(0, ge=0, lt=1)
    """Largest standard deviation of multiplicative speckle, as a share of the grey level."""

    @property
    def is_on(self) -> bool:
        """Whether anything is changed."""
        return self != VarySettings()


class TrainSettings(Settings):
    """How the network is trained."""

    augment: AugmentSettings = AugmentSettings()
    """Variants of each training sample."""
    vary: VarySettings = VarySettings()
    """Changes drawn anew at each step."""
    epochs: int = Field(60, ge=1)
    """Passes over all training samples."""
    keep: Literal["accuracy", "auc", "loss", "last"] = "accuracy"
    """The kept epoch: best in validation accuracy, AUC or loss, or the last of those allowed."""
    keep_from_epoch: int | None = Field(None, ge=0)
    """The first epoch that may be kept, counted from 0; unset, the last third may: 40 of 60."""
    keep_before_epoch: int | None = Field(None, ge=1)
    """The first epoch that may no longer be kept; unset: no limit."""
    patience: int | None = Field(None, ge=1)
    """Stop after this many epochs without improvement, among epochs that may be kept."""
    batch_size: int = Field(16, ge=1)
    """Samples per step; the publication does not state it."""
    micro_batch: int | None = Field(None, ge=1)
    """Samples in memory at once: the gradients of a step are added up part by part."""
    sampling: Literal["shuffle", "weighted"] = "shuffle"
    """Each sample once an epoch; or drawn with replacement, both classes equally often."""
    optimiser: Literal["adam", "adamw"] = "adam"
    """Adam as published, or AdamW, with weight decay decoupled from the gradient."""
    learning_rate: float = Field(1e-3, gt=0)
    """Learning rate: constant, or the peak of the schedule."""
    weight_decay: float = Field(0, ge=0)
    """For AdamW; applies to weight matrices and kernels only, not to biases and norms."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate after warm-up: constant, or half a cosine down to 0 at the last step."""
    warmup_epochs: float = Field(0, ge=0)
    """Epochs in which the learning rate rises linearly from 0; may be a fraction."""
    clip_norm: float | None = Field(None, gt=0)
    """Clip the norm of all gradients together to this value."""
    label_smoothing: float = Field(0, ge=0, lt=1)
    """Moves labels toward one half: 1 becomes 1 - this / 2."""
    focal_gamma: float = Field(0, ge=0, le=10)
    """Exponent of the focal loss; 0 is plain binary cross-entropy."""
    ema_decay: float | None = Field(None, gt=0, lt=1)
    """Validate and keep a moving average of the weights with this decay per step, or none."""
    save_every_steps: int | None = Field(None, ge=1)
    """Also save within an epoch, every so many steps; unset: only after each epoch."""
    trackers: tuple[Literal["tensorboard", "mlflow"], ...] = ()
    """Also log each epoch to these; `metrics.csv` and `progress.svg` are always written."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the forward pass; `auto`: bfloat16 on a GPU that has it, else float32."""
    compile: bool = False
    """Let torch compile the network before training; for a GPU. It needs a C++ compiler."""
    checkpoint_activations: bool = False
    """Recompute CrossFormer's activations in the backward pass: less memory, a third slower."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` uses a GPU if there is one."""
    num_threads: int | None = Field(None, ge=1)
    """Processor threads; unset: all cores. 1 suits small networks."""

    @property
    def kept_epochs(self) -> range:
        """Epochs that may be kept, counted from 0: without a first one, the last third."""
        end = self.epochs if self.keep_before_epoch is None else self.keep_before_epoch
        first = 2 * end // 3 if self.keep_from_epoch is None else self.keep_from_epoch
        return range(first, end)

    @model_validator(mode="after")
    def _keeps_an_epoch(self) -> Self:
        first, end = self.kept_epochs.start, self.kept_epochs.stop
        if first >= self.epochs:
            raise ValueError(f"keep_from_epoch must be below epochs, got {first} and {self.epochs}")
        if not first < end <= self.epochs:
            raise ValueError(
                f"keep_before_epoch must lie above keep_from_epoch and up to epochs, got {end}, "
                f"{first} and {self.epochs}"
            )
        if self.patience is not None and self.keep == "last":
            raise ValueError("patience needs a measure in keep, got last, which has no better one")
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.weight_decay and self.optimiser == "adam":
            raise ValueError(
                f"weight_decay needs optimiser adamw, got {self.weight_decay} with adam"
            )
        if self.micro_batch is not None and self.micro_batch > self.batch_size:
            raise ValueError(
                f"micro_batch must not exceed batch_size, got {self.micro_batch} and "
                f"{self.batch_size}"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs must be below epochs, got {self.warmup_epochs} and {self.epochs}"
            )
        return self
