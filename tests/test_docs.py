import importlib.util
import json
import re
from pathlib import Path

import pytest

from neoresponse.contracts.predictions import PredictionsCard, write_card

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["configuration", "cli", "contracts"])
def test_generated_pages_say_what_the_code_says(page):
    made = getattr(load(ROOT / "docs" / "make_reference.py"), page)()
    assert (ROOT / "docs" / "reference" / f"{page}.md").read_text() == made


def test_json_schemas_on_disk_equal_those_of_the_code():
    folder = ROOT / "docs" / "reference" / "schemas"
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert on_disk == load(ROOT / "docs" / "make_reference.py").schemas()


def test_a_json_schema_names_every_key_of_a_written_file(tmp_path):
    card = PredictionsCard(cohort_name="one")
    write_card(tmp_path, card)
    written = json.loads((tmp_path / card.FILE_NAME).read_text())
    made = load(ROOT / "docs" / "make_reference.py")
    schema = json.loads(made.schemas()[made.schema_name(PredictionsCard)])
    assert schema["properties"].keys() == written.keys()
    assert schema["properties"]["schema"]["const"] == written["schema"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_on_the_front_page():
    front = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = str(page.relative_to(ROOT / "docs"))
        assert name == "index.md" or f"({name})" in front, name


def test_commands_in_the_docs_exist():
    from neoresponse.cli import main

    for page in PAGES:
        for verb in re.findall(r"^(?:\S*/)?neoresponse ([a-z]+)", page.read_text(), re.MULTILINE):
            assert verb in main.commands, f"{page.name}: {verb}"


def test_reference_files_are_small_and_their_readme_names_each_folder():
    folder = ROOT / "tests" / "reference"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    text = (folder / "README.md").read_text()
    for name in {path.relative_to(folder).parts[0] for path in files} - {"README.md"}:
        assert f"`{name}/" in text, name
