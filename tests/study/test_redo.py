"""What a changed setting redoes: every setting of every section, against the page that says so."""

from pathlib import Path
from typing import get_args

import pytest

from neoresponse.errors import ConfigError
from neoresponse.settings import Settings, StudySettings, merge
from neoresponse.study.status import study_status

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "study-folder.md"
TRAINED = "train, predict, evaluate, explain, report"
REDONE = {
    "cohort": f"check, split, prepare, reference, {TRAINED}",
    "seed": f"split, reference, {TRAINED}",
    "split.*": f"split, reference, {TRAINED}",
    "prepare.*": f"prepare, reference, {TRAINED}",
    "model.*": TRAINED,
    "train.*": TRAINED,
    "train.augment.*": f"split, reference, {TRAINED}",
    "train.save_every_steps": "nothing",
    "train.trackers": "nothing",
    "evaluate.*": "evaluate, report",
    "evaluate.threshold": "evaluate, explain, report",
    "explain.*": "explain, report",
    "truth": "evaluate, report",
    "runs": f"{TRAINED}: of a new run",
    "axes": f"{TRAINED}: of a new run",
    "skip": f"{TRAINED}: of a new run",
    "seeds": f"{TRAINED}, average: of a new seed",
    "cross_validation.*": "train, predict, cross-validate, report: of the folds",
    "external": "prepare, reference, predict, average, evaluate, report: of the cohort",
    "compute.*": "nothing",
    "phantom.*": "nothing",
    "search.*": "nothing",
}
"""Setting, or all of a section that have no row of their own -> the steps that are redone."""

TINY = {"embed_dim": 64, "depths": [1, 1, 8, 6], "num_heads": [2, 4, 8, 16]}
AXES = {"one": {"a": {"se": False}, "b": {"se": True}}}
OTHER = {
    "split.sizes": {"split": {"sizes": [10, 5, 5]}},
    "split.preset_sizes": {"split": {"preset_sizes": [10, 5, 5]}},
    "split.ratio": {"split": {"ratio": [5, 3, 2]}},
    "prepare.image_px": {"prepare": {"image_px": 64, "region_px": 192}},
    "prepare.region_px": {"prepare": {"region_px": 192}},
    "model.backbone": {"model": {"backbone": "resnet50"}},
    "model.pathways": {"model": {"pathways": ["dou_ult"]}},
    "model.depths": {"model": {"depths": [1, 1, 1, 2]}},
    "model.num_heads": {"model": {"num_heads": [1, 1, 1, 1]}},
    "model.intervals": {"model": {"intervals": [4, 4, 2, 1]}},
    "model.coherence_stages": {"model": {"coherence_stages": [1]}},
    "model.weights": {"model": {"weights": "elsewhere.safetensors"}},
    "model.pretrained": {"model": {"pretrained": True, "backbone": "resnet50"}},
    "model.embed_dim": {"model": {"embed_dim": 32}},
    "model.size": {"model": {"size": "T", **TINY}},
    "train.weight_decay": {"train": {"optimiser": "adamw", "weight_decay": 0.1}},
    "train.trackers": {"train": {"trackers": ["tensorboard"]}},
    "train.keep_before_epoch": {"train": {"keep_before_epoch": 1}},
    "train.vary.flips": {"train": {"vary": {"flips": True}}},
    "evaluate.threshold": {"evaluate": {"threshold": "half"}},
    "evaluate.decision_thresholds": {"evaluate": {"decision_thresholds": [0.3]}},
    "phantom.dose": {"phantom": {"stress": "gain", "dose": 1}},
    "search.space": {"search": {"space": {"train.learning_rate": {"low": 0.001, "high": 0.01}}}},
    "runs": {"runs": {"se_crosst": {}, "new": {"se": False}}},
    "axes": {"axes": AXES, "runs": {"se_crosst": {}}},
    "skip": {"axes": AXES, "skip": ["a"], "runs": {"se_crosst": {}}},
    "seeds": {"seeds": [5]},
    "cross_validation.folds": {"cross_validation": {"folds": 2}},
    "cross_validation.repeats": {"cross_validation": {"folds": 2, "repeats": 2}},
    "compute.scheduler": {"compute": {"scheduler": "tcp://node:1"}},
}
"""A change of each setting whose values cannot be guessed."""


def walk(section=StudySettings, prefix=""):
    """Every field of every section, as `train.epochs`."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Settings):
            yield from walk(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


FIELDS = [name for name in walk() if name != "cohort"]


def row_of(name):
    """The most special row of the table that a setting falls under."""
    parts = name.split(".")
    sections = [".".join(parts[:length]) + ".*" for length in range(len(parts) - 1, 0, -1)]
    return next(key for key in (name, *sections) if key in REDONE)


def field_of(name):
    section = StudySettings
    *path, last = name.split(".")
    for part in path:
        section = section.model_fields[part].annotation
    return section.model_fields[last]


def guesses(name, value):
    """Values that another one of this kind may have."""
    literals = [one for kind in (field_of(name).annotation,) for one in get_args(kind)]
    yield from (one for one in literals if isinstance(one, str | int) and one != value)
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value * 2, value * 0.9, value + 0.1, value - 1, value // 2)
    elif isinstance(value, dict):
        yield {}
    else:
        yield from (1, 2, 0.5, True, "x", "1", [1, 1], [1.0, 2.0])


def changed(settings, name):
    """The same study with another value of a setting."""
    content = settings.model_dump(mode="json")
    if name in OTHER:
        return StudySettings.model_validate(merge(content, OTHER[name]))
    *path, last = name.split(".")
    section = content
    for part in path:
        section = section[part]
    for value in guesses(name, section[last]):
        change = {last: value}
        for part in reversed(path):
            change = {part: change}
        try:
            found = StudySettings.model_validate(merge(content, change))
        except ValueError:
            continue
        if found != settings:
            return found
    raise AssertionError(f"{name}: no other value is known")


def weights_without_a_network(model):
    """What a network starts from, where none can be fetched."""
    if model.pretrained:
        raise ConfigError("model.pretrained: expected a network, got none.")
    return model.weights


def kinds(steps):
    """Which kinds of step are among some, in the order in which they are first met."""
    return list(dict.fromkeys(name.split()[0] for name in steps))


def expected(name):
    steps = REDONE[row_of(name)].partition(":")[0]
    return set() if steps == "nothing" else set(steps.split(", "))


def test_every_row_of_the_table_is_needed_and_every_setting_has_one():
    assert {row_of(name) for name in FIELDS} | {"cohort"} == set(REDONE)


@pytest.mark.parametrize("section", sorted({row_of(name) for name in FIELDS}))
def test_a_changed_setting_redoes_just_the_steps_of_the_table(
    finished, one_run, elsewhere, phantom, section, monkeypatch
):
    monkeypatch.setattr("neoresponse.training.run.weights_file", weights_without_a_network)
    for name in (name for name in FIELDS if row_of(name) == section):
        if name == "external":
            other = one_run.model_copy(update={"external": {"b": elsewhere / "cohort"}})
        elif name == "truth":
            other = one_run.model_copy(update={"truth": phantom / "truth"})
        elif name == "cross_validation.inner_folds":
            continue  # it needs a second run, which is trained as well
        else:
            other = changed(one_run, name)
        assert (name, set(kinds(study_status(other, finished[0]).due))) == (name, expected(name))


def test_another_cohort_redoes_everything(finished, one_run, elsewhere):
    other = one_run.model_copy(update={"cohort": elsewhere / "cohort"})
    assert set(kinds(study_status(other, finished[0]).due)) == expected("cohort")


def test_looking_changes_no_file(finished, one_run):
    files = {p: p.stat().st_mtime_ns for p in finished[0].rglob("*")}
    study_status(changed(one_run, "train.epochs"), finished[0])
    assert {p: p.stat().st_mtime_ns for p in finished[0].rglob("*")} == files


def test_the_page_shows_this_table():
    lines = [f"| `{key}` | {steps} |" for key, steps in REDONE.items()]
    page = PAGE.read_text(encoding="utf-8")
    assert "\n".join(lines) in page, "\n".join(lines)
