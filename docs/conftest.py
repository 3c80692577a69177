"""Runs the fenced Python and TOML of the docs as tests."""

from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser


def _check_toml(example):
    """A TOML block of the docs must be a cohort, a study or run settings."""
    import tomllib

    from neoresponse.cohort.dictionary import CohortFile
    from neoresponse.settings import RunSettings, StudySettings, merge
    from neoresponse.settings.toml import load_section

    content = tomllib.loads(example.parsed)
    if "schema" in content:
        CohortFile.model_validate(content)
        return
    content = merge(load_section(content.pop("base", None)), content)
    kind = StudySettings if "cohort" in content else RunSettings
    if kind is RunSettings:
        content.pop("runs", None)
    kind.model_validate(content)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser(language="toml", evaluator=_check_toml)],
    patterns=["*.md", "**/*.md"],
).pytest()
