"""Simulated patients -> the table and the `cohort.toml` of a hospital, in that hospital's words."""

import csv
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import openpyxl
import tomli_w

from neoresponse.cohort.dictionary import FILE_NAME, SCHEMA
from neoresponse.durable import write_bytes, write_text
from neoresponse.settings import PhantomSettings
from neoresponse.types import SIMULATED

COLUMNS: Mapping[str, str] = {
    "patient_id": "PatientID",
    "pcr": "Pathology result",
    "focality": "Foci",
    "machine": "US scanner",
    "centre": "Hospital",
    "us_0": "US0 file",
    "us_0_roi": "US0 outline",
    "us_1": "US1 file",
    "us_1_roi": "US1 outline",
    "slide": "Slide file",
    "slide_roi": "Slide outline",
    "phenotype": "Subtype",
    "er": "ER status",
    "pr": "PR status",
    "her2": "HER2 status",
    "ki67_percent": "Ki-67 (%)",
    "regimen": "Chemotherapy",
    "age_years": "Age",
    "bmi": "BMI",
    "menopause": "Menopausal status",
    "size_mm": "Tumour size (mm)",
    "t_stage": "cT",
    "nodes": "cN",
    "stage": "TNM stage",
    "bi_rads": "BI-RADS",
}
"""Our word -> the hospital's column."""
UNUSED_COLUMNS: Mapping[str, str] = {"nac_start": "Start of chemotherapy"}
"""Columns that a hospital has and `cohort.toml` does not name."""

CODES: Mapping[str, Mapping[str, str]] = {
    "pcr": {"pCR": "1", "non-pCR": "0"},
    "focality": {"single": "unifocal", "multiple": "multifocal"},
    "phenotype": {
        "Luminal, HER2-": "HR+/HER2-",
        "TNBC": "triple-negative",
        "HER2-enriched": "HR-/HER2+",
        "Luminal, HER2+": "HR+/HER2+",
    },
    "er": {"neg": "negative", "1-10%": "low", "pos": "positive"},
    "pr": {"neg": "negative", "pos": "positive"},
    "her2": {"0": "negative", "1+/2+": "low", "3+/FISH+": "positive"},
    "regimen": {
        "T+H": "anti-HER2",
        "T+Pt": "taxane+platinum",
        "T": "taxane",
        "A+T": "anthracycline+taxane",
    },
    "menopause": {"pre/peri": "pre", "post": "post"},
    "nodes": {"N0": "negative", "N+": "positive"},
    "bi_rads": {"up to 4A": "2-4a", "4B": "4b", "4C": "4c"},
}
"""Our word -> {the hospital's value: our level}."""

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def write_table(
    folder: Path, rows: Sequence[Mapping[str, str | float | int | None]], *, file_type: str
) -> None:
    """Write `patients.csv` or `patients.xlsx`.

    Args:
        folder: the cohort folder.
        rows: one mapping per patient, our words and levels; translated here.
        file_type: "csv" or "xlsx".
    """
    names = {**COLUMNS, **UNUSED_COLUMNS}
    content = [[_translate(word, row[word]) for word in names] for row in rows]
    if file_type == "xlsx":
        write_bytes(folder / "patients.xlsx", _xlsx_bytes([list(names.values()), *content]))
        return
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([list(names.values()), *content])
    write_text(folder / "patients.csv", text.getvalue())


def write_cohort_file(folder: Path, settings: PhantomSettings, *, seed: int) -> None:
    """Write `cohort.toml`, which says what the table's words mean."""
    content = {
        "schema": SCHEMA,
        "name": f"Phantom {settings.preset}, seed {seed}",
        "is_simulated": True,
        "note": f"{SIMULATED}: no real patient; pictures and outcomes are made by a program.",
        "table": {"file": f"patients.{settings.table}"},
        "columns": dict(COLUMNS),
        "codes": {word: dict(codes) for word, codes in CODES.items()},
    }
    write_text(folder / FILE_NAME, tomli_w.dumps(content))


def _translate(word: str, value: str | float | int | None) -> str | float | int:
    """Our level as the hospital writes it; whole numbers without a decimal point."""
    for theirs, ours in CODES.get(word, {}).items():
        if ours == value:
            return theirs
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    return "" if value is None else value


def _xlsx_bytes(rows: list[list[str | float | int]]) -> bytes:
    """A workbook with one sheet, with the clock taken out so that equal rows give equal bytes."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Patients"
    for row in rows:
        sheet.append(row)
    book.properties.created = datetime(1980, 1, 1)
    raw, clean = io.BytesIO(), io.BytesIO()
    book.save(raw)
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(clean, "w") as target:
        for name in source.namelist():
            member = source.read(name)
            if name == "docProps/core.xml":
                member = re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"1980-01-01T00:00:00Z", member)
            target.writestr(zipfile.ZipInfo(name, _FIXED_TIME), member, zipfile.ZIP_DEFLATED)
    return clean.getvalue()
