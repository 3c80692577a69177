"""Paths on the command line -> tables of patients, stores, runs and ledgers to be audited.

What a folder is, is found from what lies in it: a cohort (cohort.toml), a study or work folder
(split/, prepared/, runs/), a prepared store, a run; a file is a CSV table of patients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from neoresponse.cohort.dictionary import (
    CLINICAL,
    FILE_COLUMNS,
    FILE_NAME,
    CohortFile,
    TableSection,
    load_cohort_file,
)
from neoresponse.cohort.files import resolve_inside
from neoresponse.cohort.split import CSV_NAME, read_split
from neoresponse.cohort.tables import read_table
from neoresponse.cohort.values import ValueProblem, read_value
from neoresponse.errors import CohortError, TableError
from neoresponse.folders import is_set_aside
from neoresponse.leaks.elsewhere import part_of_patients
from neoresponse.leaks.openings import FILE_NAME as LEDGER
from neoresponse.leaks.patients import Entry
from neoresponse.preprocess.store import MANIFEST, Store, open_store

EXTERNAL = "external"
"""Folder of a study with a folder for each cohort from elsewhere."""
IMAGE_WORDS = ("us_0", "us_1", "slide")
PICTURE_ENDS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm", ".svs", ".ndpi", ".mrxs")
SLIDE_ENDS = (".svs", ".ndpi", ".mrxs")
ID_NAMES, PART_NAMES = ("patient_id", "patient", "id"), ("split", "part", "set")
LABEL_NAMES = ("label", "pcr", "outcome")


@dataclass(frozen=True)
class Sources:
    """All that was given.

    Attributes:
        table: rows of patients, with the part of each where a split was given.
        slides: image columns that hold slides.
        store: the prepared store, if one was given.
        runs: run folders.
        ledgers: folders with a ledger of evaluations.
        elsewhere: cohort from elsewhere of a study -> its store.
    """

    table: tuple[Entry, ...] = ()
    slides: tuple[str, ...] = ()
    store: Store | None = None
    runs: tuple[Path, ...] = ()
    ledgers: tuple[Path, ...] = ()
    elsewhere: Mapping[str, Store] = field(default_factory=dict)


def gather(paths: Sequence[Path]) -> Sources:
    """Find out what each path is and read it.

    Raises:
        CohortError: a path is nothing that can be audited.
        RunError: a store or split cannot be read.
    """
    folders = [inner for path in paths for inner in _places(path)]
    parts: dict[str, str] = {}
    table: list[Entry] = []
    found = Sources()
    for place in folders:
        if place.is_file():
            entries, slides = read_patients(place)
            table += entries
            found = replace(found, slides=(*found.slides, *slides))
        elif (place / FILE_NAME).is_file():
            table += _cohort(place)
            found = replace(found, slides=(*found.slides, "slide"))
        elif (place / MANIFEST).is_file() and place.parent.parent.name == EXTERNAL:
            stores = {**found.elsewhere, place.parent.name: open_store(place)}
            found = replace(found, elsewhere=stores)
        elif (place / MANIFEST).is_file():
            found = replace(found, store=open_store(place))
        elif (place / "config.toml").is_file():
            found = replace(found, runs=(*found.runs, place))
        elif (place / LEDGER).is_file():
            found = replace(found, ledgers=(*found.ledgers, place))
        if (place / CSV_NAME).is_file():
            parts |= part_of_patients(read_split(place))
    placed = (replace(e, part=e.part or parts.get(e.patient_id, "")) for e in table)
    if not table and found.store is not None:
        placed = (
            Entry(p.patient_id, parts.get(p.patient_id, ""), p.label, _texts(p.clinical))
            for p in found.store.patients
        )
    return replace(found, table=tuple(placed))


def read_patients(path: Path) -> tuple[list[Entry], list[str]]:
    """Read a plain table, CSV or XLSX: patient_id, and where there are, split, label and images.

    A column of which a cell is the path of an image beside the table or under it is one of images;
    all other columns are taken as inputs.

    Returns:
        One entry a row, and the names of image columns with slides.

    Raises:
        TableError: it is no table, has no column of patients, or an image is not there.
    """
    table = read_table(path.parent, TableSection(file=path.name))
    names = [str(name) for name in table.columns]
    special = {kind: _first(names, known) for kind, known in _SPECIAL.items()}
    if special["id"] is None:
        raise TableError(
            f"{path}: expected patients with a column patient_id, got columns {names[:20]}. "
            "Name the column of patients patient_id."
        )
    rows = [{str(k): str(v) for k, v in record.items()} for record in table.to_dict("records")]
    rest = [name for name in names if name not in special.values()]
    pictures = [name for name in rest if _has_pictures(path, [row[name] for row in rows])]
    entries = []
    for number, row in zip(table.index, rows, strict=True):
        label = row.get(special["label"] or "", "")
        entries.append(
            Entry(
                row[special["id"]],
                row.get(special["part"] or "", ""),
                int(label) if label in ("0", "1") else None,
                {name: row[name] for name in rest if name not in pictures},
                images={n: _image(path, row[n], n, int(number)) for n in pictures if row[n]},
            )
        )
    slides = [n for n in pictures if any(r[n].casefold().endswith(SLIDE_ENDS) for r in rows)]
    return entries, slides


_SPECIAL: Mapping[str, tuple[str, ...]] = {
    "id": ID_NAMES,
    "part": PART_NAMES,
    "label": LABEL_NAMES,
}


def _places(path: Path) -> list[Path]:
    """The folders and files in a path that can be audited."""
    if path.is_file():
        return [path]
    inner = [path, path / "cohort", path / "phantom" / "cohort", path / "study"]
    inner += [work / name for work in (path, path / "study") for name in ("split", "prepared")]
    for work in (path, path / "study"):
        runs = (run for part in ("runs", "seeds") for run in sorted((work / part).glob("*")))
        inner += [run for run in runs if not is_set_aside(run)]
        inner += sorted((work / EXTERNAL).glob("*/prepared"))
    marks = (FILE_NAME, MANIFEST, CSV_NAME, "config.toml", LEDGER)
    found = [place for place in inner if any((place / mark).is_file() for mark in marks)]
    if not found:
        raise CohortError(
            f"{path}: expected a cohort, study, store, split or run folder, or a CSV of patients, "
            "got none of them. Name one."
        )
    return found


def _cohort(folder: Path) -> list[Entry]:
    """A cohort's table as it stands: cells as text, images that are there."""
    file = load_cohort_file(folder)
    table = read_table(folder, file.table)
    words = {word: column for word, column in file.columns.items() if column in table.columns}
    return [
        _cohort_entry(folder, file, words, {str(k): str(v) for k, v in record.items()})
        for record in table.to_dict("records")
    ]


def _cohort_entry(
    folder: Path, file: CohortFile, words: Mapping[str, str], record: Mapping[str, str]
) -> Entry:
    """One row; columns that `cohort.toml` does not name are no inputs."""
    try:
        value = read_value(file, "pcr", record[words["pcr"]]) if "pcr" in words else None
    except ValueProblem:
        value = None
    images = {}
    for word in IMAGE_WORDS:
        text = record.get(words.get(word, ""), "")
        if text and text not in file.missing:
            try:
                images[word] = resolve_inside(folder, text)
            except CohortError:
                continue
    hidden = {words[word] for word in (*FILE_COLUMNS, "patient_id", "pcr") if word in words}
    known = {name: "" if text in file.missing else text for name, text in record.items()}
    cells = {n: known[n] for n in known if n in words.values() and n not in hidden}
    others = {n: known[n] for n in known if n not in words.values()}
    label = None if value is None else int(value)
    return Entry(record[words["patient_id"]], "", label, cells, others, images)


def _texts(clinical: Mapping[str, str | float]) -> dict[str, str]:
    """Clinical values as the cells of a table; each patient has every column."""
    return {word: str(clinical.get(word, "")) for word in CLINICAL}


def _first(names: Sequence[str], known: Sequence[str]) -> str | None:
    """The first column with one of the known names, whatever its letter case."""
    return next((name for one in known for name in names if name.casefold() == one), None)


def _has_pictures(path: Path, texts: Sequence[str]) -> bool:
    """Whether a column holds paths of images, of which one at least is there."""
    named = (text for text in texts if text.casefold().endswith(PICTURE_ENDS))
    return any((path.parent / text).is_file() for text in named)


def _image(path: Path, text: str, column: str, number: int) -> Path:
    """The image that a cell names; its path is not told, because it may name a patient."""
    try:
        return resolve_inside(path.parent, text)
    except CohortError as error:
        raise TableError(f"{path}, row {number}, column {column!r}: {error}") from error
