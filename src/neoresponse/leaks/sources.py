"""Paths on the command line -> tables of patients, stores, runs and ledgers to be audited.

What a folder is, is found from what lies in it: a cohort (cohort.toml), a study or work folder
(split/, prepared/, runs/), a prepared store, a run; a file is a table of patients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from neoresponse.cohort.dictionary import (
    CLINICAL,
    FILE_COLUMNS,
    FILE_NAME,
    CohortFile,
    load_cohort_file,
)
from neoresponse.cohort.files import resolve_inside
from neoresponse.cohort.label_table import Meaning
from neoresponse.cohort.split import CSV_NAME, read_split
from neoresponse.cohort.table_file import TableFile, read_table, read_table_file
from neoresponse.cohort.values import ValueProblem, read_value
from neoresponse.cohort.vocabulary import (
    ID_NAMES,
    is_missing,
    missing_words,
    normal,
    outcome_of,
    read_outcome,
)
from neoresponse.contracts.opening import FILE_NAME as LEDGER
from neoresponse.errors import CohortError, TableError
from neoresponse.folders import is_set_aside
from neoresponse.leaks.elsewhere import part_of_patients
from neoresponse.leaks.patients import Entry
from neoresponse.preprocess.store import MANIFEST, Store, open_store

EXTERNAL = "external"
"""Folder of a study with a folder for each cohort from elsewhere."""
IMAGE_WORDS = ("us_0", "us_1", "slide")
PICTURE_ENDS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm", ".svs", ".ndpi", ".mrxs")
SLIDE_ENDS = (".svs", ".ndpi", ".mrxs")
PART_NAMES = ("split", "part", "set")
LABEL_NAMES = ("label", "pcr", "outcome")
MAYBE_LABEL_NAMES = ("response", "y", "target", "pcr_status", "pathologic_response")
"""Names of a column that is the outcome where its values are two, or words for it."""


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
        notes: how tables were read.
        unread: what was given and could not be read, as sentences.
    """

    table: tuple[Entry, ...] = ()
    slides: tuple[str, ...] = ()
    store: Store | None = None
    runs: tuple[Path, ...] = ()
    ledgers: tuple[Path, ...] = ()
    elsewhere: Mapping[str, Store] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def gather(
    paths: Sequence[Path], *, label: str | None = None, meaning: Meaning | None = None
) -> Sources:
    """Find out what each path is and read it.

    Args:
        paths: folders and tables.
        label: the column of outcomes of a table; found by its name where none is named.
        meaning: what a table does not say itself.

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
            own = read_patients(place, label=label, meaning=meaning or Meaning())
            table += own.table
            found = _joined(found, own)
        elif (place / FILE_NAME).is_file():
            own = _cohort(place)
            table += own.table
            found = _joined(found, own)
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


def _joined(one: Sources, two: Sources) -> Sources:
    """What two tables say beside their rows."""
    return replace(
        one,
        slides=(*one.slides, *two.slides),
        notes=(*one.notes, *two.notes),
        unread=(*one.unread, *two.unread),
    )


def read_patients(path: Path, *, label: str | None = None, meaning: Meaning) -> Sources:
    """Read a plain table, CSV or XLSX: patient_id, and where there are, split, label and images.

    A column of which a cell is the path of an image beside the table or under it is one of images;
    all other columns are taken as inputs. An outcome that cannot be read is said, and every check
    that needs none goes on.

    Raises:
        TableError: it is no table, has no column of patients, or an image is not there.
    """
    read = read_table_file(path)
    names = read.names
    patient, part = meaning.patient or _first(names, ID_NAMES), _first(names, PART_NAMES)
    label = label or _label_column(read)
    read.need([name for name in (meaning.patient, label) if name is not None])
    if patient is None:
        raise TableError(
            f"{path}: expected patients with a column patient_id, got columns {names[:20]}. "
            "Name the column of patients patient_id."
        )
    unread = [f"{path}, cell {cell}: column {n!r}" for n, cell in read.uncomputed.items()]
    unread = [f"{place} holds formulas that were never computed" for place in unread]
    labels: Sequence[int | None] = [None] * len(read.cells)
    if label is not None:
        texts, where = read.cells[label].tolist(), f"{path}, column {label!r}"
        try:
            labels = read_outcome(texts, where, pcr=meaning.pcr, missing=meaning.missing)
        except TableError as error:
            unread.append(str(error))
    known = _known_cells(read, meaning.missing)
    rest = [name for name in names if name not in (patient, part, label)]
    pictures = [name for name in rest if _has_pictures(path, known[name])]
    entries = [
        Entry(
            str(read.cells[patient].iloc[place]),
            str(read.cells[part].iloc[place]) if part else "",
            labels[place],
            {name: known[name][place] for name in rest if name not in pictures},
            images={
                name: _image(path, known[name][place], name, int(row))
                for name in pictures
                if known[name][place]
            },
        )
        for place, row in enumerate(read.cells.index)
    ]
    slides = [n for n in pictures if any(t.casefold().endswith(SLIDE_ENDS) for t in known[n])]
    return Sources(tuple(entries), tuple(slides), notes=read.notes, unread=tuple(unread))


def _label_column(read: TableFile) -> str | None:
    """The column with the outcome: by its name, or by its name and its values."""
    sure = _first(read.names, LABEL_NAMES)
    maybe = _first(read.names, MAYBE_LABEL_NAMES)
    if sure is not None or maybe is None:
        return sure
    texts = [text for text in read.cells[maybe] if not is_missing(text)]
    is_pair = len({normal(text) for text in texts}) == 2
    return maybe if is_pair or {outcome_of(text) for text in texts} == {0, 1} else None


def _known_cells(read: TableFile, more: Sequence[str]) -> dict[str, list[str]]:
    """Column -> its cells, empty where nothing is known."""
    found = {}
    for name in read.names:
        texts = [str(text) for text in read.cells[name]]
        words = missing_words(texts, more)
        found[name] = ["" if is_missing(text, words) else text for text in texts]
    return found


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


def _cohort(folder: Path) -> Sources:
    """A cohort's table as it stands: cells as text, images that are there."""
    file = load_cohort_file(folder)
    read = read_table(folder, file.table)
    words = {word: column for word, column in file.columns.items() if column in read.names}
    read.need(words.values())
    unread: list[str] = []
    entries = [
        _cohort_entry(folder, file, words, {str(k): str(v) for k, v in record.items()}, unread)
        for record in read.cells.to_dict("records")
    ]
    return Sources(tuple(entries), ("slide",), notes=read.notes, unread=tuple(unread))


def _cohort_entry(
    folder: Path,
    file: CohortFile,
    words: Mapping[str, str],
    record: Mapping[str, str],
    unread: list[str],
) -> Entry:
    """One row; columns that `cohort.toml` does not name are no inputs."""
    patient_id = record[words["patient_id"]]
    value = None
    if "pcr" in words:
        try:
            value = read_value(file, "pcr", record[words["pcr"]])
        except ValueProblem as problem:
            unread.append(f"{patient_id}, column {words['pcr']!r}: {problem}")
    images = {}
    for word in IMAGE_WORDS:
        text = record.get(words.get(word, ""), "")
        if not file.is_missing(text):
            try:
                images[word] = resolve_inside(folder, text)
            except CohortError as error:
                unread.append(f"{patient_id}, {word}: {error}")
    hidden = {words[word] for word in (*FILE_COLUMNS, "patient_id", "pcr") if word in words}
    known = {name: "" if file.is_missing(text) else text for name, text in record.items()}
    cells = {n: known[n] for n in known if n in words.values() and n not in hidden}
    others = {n: known[n] for n in known if n not in words.values()}
    label = None if value is None else int(value)
    return Entry(patient_id, "", label, cells, others, images)


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
