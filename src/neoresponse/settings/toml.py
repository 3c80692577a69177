"""Settings in and out of TOML; what is wrong in a file is said in one sentence before any work."""

import tomllib
from collections.abc import Callable, Mapping
from math import ceil, floor
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import ValidationError

from neoresponse.errors import ConfigError
from neoresponse.settings.nearest import did_you_mean, nearest_key
from neoresponse.settings.run import RunSettings
from neoresponse.settings.section import Section, Settings, merge
from neoresponse.settings.study import StudySettings

S = TypeVar("S", bound=Settings)
STUDY_KEYS = tuple(sorted(set(StudySettings.model_fields) - set(RunSettings.model_fields)))
"""What a study file has and a run's settings have not."""
_IN_EPOCHS: Mapping[str, Callable[[float], float]] = {
    "keep_from_epoch": floor,
    "keep_before_epoch": ceil,
    "warmup_epochs": float,
}
"""Keys of `train` that a preset counts in epochs -> how a share of them is rounded."""


def named_config(name: str) -> Path:
    """Path of a configuration that comes with the software, such as `guo2024`.

    Raises:
        ConfigError: there is none of that name; lists those there are.
    """
    package = Path(__file__).parents[1]
    folders = [package / "configs", package.parents[1] / "configs"]
    found = {p.stem: p for folder in folders if folder.is_dir() for p in folder.glob("*.toml")}
    if name not in found:
        near = did_you_mean(name, found) or "Check the name."
        raise ConfigError(f"{name}: expected a settings file or one of {sorted(found)}. {near}")
    return found[name]


def load_section(source: str | None, changes: tuple[str, ...] = ()) -> Section:
    """Read a settings file and lay single changes over it.

    Args:
        source: path of a TOML file, the name of one that comes with the software, or None. Its
            key `base` names another one to start from.
        changes: `section.key=value` each, the value in TOML (a bare word is text).

    Returns:
        Nested tables, not validated yet.

    Raises:
        ConfigError: the file cannot be read, or a change is not `key=value`.
    """
    changed: Section = {}
    for change in changes:
        changed = merge(changed, _parse_change(change))
    if source is None:
        return changed
    is_preset = _is_preset(source)
    path = named_config(source) if is_preset else Path(source)
    content = _read_toml(path)
    base = content.pop("base", None)
    if base is not None:
        wanted = content if is_preset else merge(content, changed)
        content = _lay_over(_load_base(path, str(base), wanted), content)
    return merge(_in_proportion(content, changed) if is_preset else content, changed)


def run_settings(source: str | None, changes: tuple[str, ...] = ()) -> RunSettings:
    """Read and check run settings; see `load_section`. Of a study file, what its runs share.

    Raises:
        ConfigError: an unknown key, a wrong type or an impossible pair.
    """
    content = load_section(source, changes)
    shared = {key: value for key, value in content.items() if key not in STUDY_KEYS}
    return _validate(RunSettings, shared, source or "settings")


def study_settings(source: str, changes: tuple[str, ...] = ()) -> StudySettings:
    """Read and check a study file; its relative paths count from the file's folder.

    Raises:
        ConfigError: as `run_settings`, or the cohort is not named.
    """
    study = _validate(StudySettings, load_section(source, changes), source)
    folder = Path(source).parent  # an absolute path stays what it is when it is joined
    truth = None if study.truth is None else folder / study.truth
    external = {name: folder / path for name, path in study.external.items()}
    places = {"cohort": folder / study.cohort, "truth": truth, "external": external}
    return study.model_copy(update=places)


def with_changes(settings: RunSettings, changes: Section, source: str) -> RunSettings:
    """Lay nested tables over settings; `source` is named where they cannot be.

    Raises:
        ConfigError: as `run_settings`.
    """
    return _validate(RunSettings, merge(settings.model_dump(), changes), source)


def to_toml(settings: Settings) -> str:
    """The settings as TOML, every key spelled out; a missing value has no key."""
    return tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True))


def _validate(kind: type[S], content: Section, source: str) -> S:
    """Check settings and say the first things that are wrong, in words."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        lines = [_say(kind, problem) for problem in error.errors()[:5]]
        raise ConfigError(f"{source}: {'; '.join(lines)}. Change these keys.") from None


def _say(kind: type[Settings], problem: Any) -> str:  # noqa: ANN401 (pydantic's error record)
    """One pydantic problem as a clause."""
    key = ".".join(str(part) for part in problem["loc"]) or "settings"
    if problem["type"] == "extra_forbidden":
        near = nearest_key(kind, [str(part) for part in problem["loc"]])
        return f"{key}: expected a known key, got {problem['input']!r}{near}"
    if problem["type"] == "missing":
        return f"{key}: expected a value, got none"
    text = problem["msg"].removeprefix("Value error, ")
    if isinstance(problem["input"], dict):  # the text names the values that do not fit
        return text if key == "settings" else f"{key}: {text}"
    return f"{key}: {text}, got {problem['input']!r}"


def _is_preset(source: str) -> bool:
    """Whether a source is the name of a configuration that comes with the software."""
    return Path(source).suffix != ".toml"


def _load_base(path: Path, base: str, wanted: Section) -> Section:
    """What a file starts from: a named configuration, or a file that starts from none itself."""
    if _is_preset(base):
        return _in_proportion(load_section(base), wanted)
    content = _read_toml(path.parent / base)
    if "base" in content:
        raise ConfigError(
            f"{path.parent / base}: expected a file without base, got {content['base']!r}. "
            "A base starts from nothing else."
        )
    return content


def _in_proportion(preset: Section, wanted: Section) -> Section:
    """A preset whose epochs are changed: what it counts in epochs keeps its share of them."""
    train, changed = preset.get("train", {}), wanted.get("train", {})
    epochs = changed.get("epochs") if isinstance(changed, dict) else None
    if not isinstance(epochs, int) or epochs < 1 or "epochs" not in train:
        return preset
    moved = {
        key: in_whole(train[key] * epochs / train["epochs"])
        for key, in_whole in _IN_EPOCHS.items()
        if key in train
    }
    return merge(preset, {"train": moved})


def _lay_over(base: Section, content: Section) -> Section:
    """A file over its base; the networks that a file names replace those of its base."""
    named = ("runs", "axes", "skip")
    if any(key in content for key in named):
        base = {key: value for key, value in base.items() if key not in named}
    return merge(base, content)


def _read_toml(path: Path) -> Section:
    """Parse a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: expected a settings file, got none. Check the path.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: expected TOML, got {error}. Correct that line.") from None


def _parse_change(change: str) -> Section:
    """`a.b=c` as nested tables."""
    key, separator, text = change.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set {change}: expected section.key=value. Write it like seed=2.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    content: Any = value
    for part in reversed(key.strip().split(".")):
        content = {part: content}
    return dict(content)
