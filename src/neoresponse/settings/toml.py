"""Settings in and out of TOML; what is wrong in a file is said in one sentence before any work."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import ValidationError

from neoresponse.errors import ConfigError
from neoresponse.settings.run import RunSettings
from neoresponse.settings.section import Section, Settings, merge
from neoresponse.settings.study import StudySettings

S = TypeVar("S", bound=Settings)
STUDY_KEYS = tuple(sorted(set(StudySettings.model_fields) - set(RunSettings.model_fields)))
"""What a study file has and a run's settings have not."""


def named_config(name: str) -> Path:
    """Path of a configuration that comes with the software, such as `guo2024`.

    Raises:
        ConfigError: there is none of that name; lists those there are.
    """
    package = Path(__file__).parents[1]
    folders = [package / "configs", package.parents[1] / "configs"]
    found = {p.stem: p for folder in folders if folder.is_dir() for p in folder.glob("*.toml")}
    if name not in found:
        raise ConfigError(
            f"{name}: expected a settings file or one of {sorted(found)}. Check the name."
        )
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
    content: Section = {}
    if source is not None:
        path = Path(source) if Path(source).suffix == ".toml" else named_config(source)
        content = _read_toml(path)
        base = content.pop("base", None)
        if base is not None:
            content = _lay_over(_load_base(path, str(base)), content)
    for change in changes:
        content = merge(content, _parse_change(change))
    return content


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
        lines = [_say(problem) for problem in error.errors()[:5]]
        raise ConfigError(f"{source}: {'; '.join(lines)}. Change these keys.") from None


def _say(problem: Any) -> str:  # noqa: ANN401 (pydantic's error record)
    """One pydantic problem as a clause."""
    key = ".".join(str(part) for part in problem["loc"]) or "settings"
    if problem["type"] == "extra_forbidden":
        return f"{key}: expected a known key, got {problem['input']!r}"
    if problem["type"] == "missing":
        return f"{key}: expected a value, got none"
    text = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {text}, got {problem['input']!r}" if key != "settings" else text


def _load_base(path: Path, base: str) -> Section:
    """What a file starts from: a named configuration, or a file that starts from none itself."""
    if Path(base).suffix != ".toml":
        return load_section(base)
    content = _read_toml(path.parent / base)
    if "base" in content:
        raise ConfigError(
            f"{path.parent / base}: expected a file without base, got {content['base']!r}. "
            "A base starts from nothing else."
        )
    return content


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
        raise ConfigError(
            f"{path}: expected a settings file, found none. Check the path."
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: expected TOML, got {error}. Mend that line.") from None


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
