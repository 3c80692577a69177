"""No part hands another a dictionary of anything: what crosses a boundary has a type."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "neoresponse"
ALLOWED = {
    "settings/section.py": "a settings file before it is validated",
    "durable.py": "JSON before it is validated",
    "audit/from_json.py": "tables of a paper, in any shape",
    "audit/cohorts.py": "the same",
}
"""Where nothing is known of the content yet, and why."""


def loose(annotation: ast.AST | None) -> bool:
    """Whether a type is a mapping of anything."""
    for node in ast.walk(annotation) if annotation is not None else ():
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            is_mapping = node.value.id in ("dict", "Mapping")
            value = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) else node.slice
            if is_mapping and ast.unparse(value) == "Any":
                return True
    return False


def loose_boundaries(path: Path) -> list[str]:
    """Public functions, methods, fields and names of a file with such a type."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            given = [*node.args.args, *node.args.kwonlyargs]
            if any(map(loose, [node.returns, *(one.annotation for one in given)])):
                found.append(node.name)
        if isinstance(node, ast.ClassDef):
            fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
            found += [
                f"{node.name}.{ast.unparse(one.target)}" for one in fields if loose(one.annotation)
            ]
        if isinstance(node, ast.Module):
            assigned = [one for one in node.body if isinstance(one, ast.Assign)]
            found += [ast.unparse(one.targets[0]) for one in assigned if loose(one.value)]
    return found


def files() -> list[str]:
    paths = (path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
    return sorted(path for path in paths if path not in ALLOWED and not path.startswith("cli/"))


@pytest.mark.parametrize("file", files())
def test_no_boundary_takes_or_gives_a_dictionary_of_anything(file):
    assert loose_boundaries(SOURCE / file) == []


def test_every_exception_still_stands():
    assert [file for file in ALLOWED if not loose_boundaries(SOURCE / file)] == []
