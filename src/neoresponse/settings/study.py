"""Frozen settings of a whole study: which networks, on which patients, how often, and where.

`runs` names networks one by one; `axes` names lists of choices and takes every combination of
them. Both become `runs`, so nothing behind this file knows of axes.
"""

from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from neoresponse.settings.run import RunSettings
from neoresponse.settings.section import Section, Settings, merge
from neoresponse.types import REFERENCE_MODELS

OWN_COHORTS = ("primary", "train", "validation", "TC1", "TC2", "TC1+TC2", "new")
"""Names that a cohort from elsewhere may not have."""


CHOSEN = "chosen_inside"
"""Name of what stands for choosing a run inside each fold (nested cross-validation)."""
TAKEN = (*REFERENCE_MODELS, CHOSEN)
"""Names that a run may not have."""


class CrossValidationSettings(Settings):
    """Cross-validation beside the one split; off unless `folds` is given."""

    folds: int = Field(0, ge=0, le=50)
    """Number of folds; each is tested once by networks that never saw it. 0 is off."""
    repeats: int = Field(1, ge=1, le=100)
    """How often the patients are divided into new folds."""
    inner_folds: int = Field(0, ge=0, le=50)
    """Inner folds of the training patients, to choose the best run (nested); 0 is off."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.folds == 1 or self.inner_folds == 1:
            raise ValueError("folds and inner_folds must be 0 or at least 2, got 1")
        if not self.folds and (self.inner_folds or self.repeats > 1):
            raise ValueError("repeats and inner_folds need folds, got 0")
        return self


class ComputeSettings(Settings):
    """Where trainings run; it changes no result but for the last digits."""

    workers: int | None = Field(None, ge=1, le=1024)
    """Trainings at once on this machine; by default one per GPU, or what cores and memory allow."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as `tcp://node1:8786`, whose workers do the trainings."""

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if self.workers is not None and self.scheduler is not None:
            raise ValueError("workers counts those of this machine: leave it out with a scheduler")
        return self


class StudySettings(RunSettings):
    """A whole study: a cohort, shared settings, and one or more networks on the same split."""

    cohort: Path
    """The cohort folder; a relative path counts from the study file."""
    truth: Path | None = None
    """For a phantom: its folder `truth`, to compare every run with the best possible AUC."""
    runs: dict[str, Section] = Field({"se_crosst": {}}, min_length=1)
    """Networks to train: name -> what differs from `model` (and, under `train`, the recipe)."""
    axes: dict[str, dict[str, Section]] = Field({})
    """Choices to combine: axis -> name -> what differs; every combination becomes a run."""
    skip: tuple[str, ...] = ()
    """Combinations of the axes that are left out, as patterns such as `resnet50-*`."""
    seeds: tuple[int, ...] = ()
    """Train each network once per seed and average the probabilities; else once, with `seed`."""
    cross_validation: CrossValidationSettings = CrossValidationSettings()
    """Cross-validation beside the one split."""
    external: dict[str, Path] = Field({})
    """Further labelled cohorts that every network is tested on: name -> cohort folder."""
    compute: ComputeSettings = ComputeSettings()
    """Where trainings run."""

    @model_validator(mode="before")
    @classmethod
    def _combine_axes(cls, content: Any) -> Any:  # noqa: ANN401 (whatever was given)
        axes = content.get("axes") if isinstance(content, dict) else None
        if not axes or not all(isinstance(axis, dict) and axis for axis in axes.values()):
            return content
        found = combinations(axes, skip=tuple(content.get("skip", ())))
        return {**content, "runs": {**found, **content.get("runs", {})}}

    @model_validator(mode="after")
    def _runs_are_valid(self) -> Self:
        for name in self.runs:
            if not _is_plain(name) or name in TAKEN:
                raise ValueError(
                    f"runs: a name is made of letters, digits, - and _ and is none of "
                    f"{TAKEN}, got {name!r}"
                )
            self.run(name)
        return self

    @model_validator(mode="after")
    def _parts_are_valid(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds) or any(seed < 0 for seed in self.seeds):
            raise ValueError(f"seeds must differ and be 0 or more, got {list(self.seeds)}")
        for name in self.external:
            if not _is_plain(name) or name in OWN_COHORTS:
                raise ValueError(
                    f"external: a name is made of letters, digits, - and _ and is none of "
                    f"{OWN_COHORTS}, got {name!r}"
                )
        if self.cross_validation.inner_folds and len(self.runs) < 2:
            raise ValueError("cross_validation.inner_folds chooses between runs, got only one run")
        return self

    def run(self, name: str, *, seed: int | None = None) -> RunSettings:
        """The whole settings of one run, with a seed of its own where one is named."""
        content = self.model_dump(include=set(RunSettings.model_fields))
        changes = dict(self.runs[name])
        train = changes.pop("train", {})
        if seed is not None:
            content["seed"] = seed
        return RunSettings.model_validate(
            merge(content, {"model": changes, "train": train}),
        )


def combinations(
    axes: dict[str, dict[str, Section]], *, skip: tuple[str, ...] = ()
) -> dict[str, Section]:
    """Every combination of one choice per axis.

    Args:
        axes: axis -> name of a choice -> what differs.
        skip: patterns of names that are left out.

    Returns:
        Names joined by `-`, in the order of the axes -> all that differs.

    Raises:
        ValueError: two axes set one key, or a pattern fits no combination.
    """
    found: dict[str, Section] = {}
    for chosen in product(*(axis.items() for axis in axes.values())):
        changes: Section = {}
        for _, change in chosen:
            twice = sorted(_keys(changes) & _keys(change))
            if twice:
                raise ValueError(f"axes: two axes set {twice[0]}; each key belongs to one axis")
            changes = merge(changes, change)
        found["-".join(name for name, _ in chosen)] = changes
    for pattern in skip:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise ValueError(
                f"skip: {pattern!r} fits none of the combinations, such as {next(iter(found))!r}"
            )
    kept = {
        name: changes
        for name, changes in found.items()
        if not any(fnmatchcase(name, pattern) for pattern in skip)
    }
    if not kept:
        raise ValueError("skip leaves no combination")
    return kept


def _keys(section: Section, prefix: str = "") -> set[str]:
    """Every key of nested tables, with dots."""
    keys: set[str] = set()
    for key, value in section.items():
        name = f"{prefix}{key}"
        keys |= _keys(value, f"{name}.") if isinstance(value, dict) else {name}
    return keys


def _is_plain(name: str) -> bool:
    """Whether a name can be that of a folder anywhere."""
    return name.replace("_", "").replace("-", "").isalnum() and name.isascii()
