"""Leaks to be planted, each with whether the audit finds it; for `leakage.py`."""

import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from neoresponse.cohort.split import read_split, split_patients
from neoresponse.cohort.validate import check_cohort
from neoresponse.contracts.predictions import Prediction
from neoresponse.durable import sha256_of, write_json
from neoresponse.evaluation.operating_point import operating_point_of_run
from neoresponse.leaks import Leak, Sources, find_leaks, record_opening
from neoresponse.leaks.openings import FILE_NAME, opened_again
from neoresponse.leaks.outcome import outcome_columns, outcome_files
from neoresponse.leaks.patients import Entry
from neoresponse.leaks.pictures import _frame, _region
from neoresponse.leaks.runs import run_leaks
from neoresponse.phantom import tumour
from neoresponse.phantom.writer import write_phantom
from neoresponse.preprocess.rows import patients_of
from neoresponse.preprocess.store import Store, prepare_store
from neoresponse.settings.toml import run_settings
from neoresponse.training.fit import fit_preprocessing
from neoresponse.training.outputs import predict_run
from neoresponse.training.refit import fitted_on
from neoresponse.training.run import train_run
from neoresponse.types import Pixels

EACH = 20
CHANGES = ("JPEG", "resized", "mirrored", "turned", "cropped", "brighter or darker", "noisy")
NUM_NEW_PEOPLE = 2 + len(CHANGES)
"""Times 20: patients that get a copied, renamed or changed picture."""
CLINICAL = (
    *("phenotype", "er", "pr", "her2", "ki67_percent", "regimen", "age_years", "bmi", "menopause"),
    *("size_mm", "t_stage", "nodes", "stage", "bi_rads"),
)
RUN = (
    *("phantom.num_patients=60", "phantom.preset=easy", "phantom.frame_px=96"),
    *("phantom.region_px=96", "phantom.mpp=4.0", "split.ratio=[4, 3, 3]", "prepare.image_px=32"),
    *("prepare.region_px=96", "model.embed_dim=16", "model.depths=[1, 1, 1, 1]"),
    *("model.num_heads=[1, 1, 2, 2]", "model.group_size=4", "train.epochs=8"),
    *("train.keep_from_epoch=0", "train.augment.num_variants=0", "train.augment.us_factor=1"),
    *("train.device=cpu", "train.num_threads=1"),
)


@dataclass(frozen=True)
class Planted:
    """One planted leak."""

    kind: str
    how: str
    is_found: bool


def pixels_of(entry: Entry, column: str) -> Pixels:
    """The picture that the audit sees."""
    return _region(entry.images[column]) if column == "slide" else _frame(entry.images[column])


def drawn_table(num: int, *, seed: int) -> list[Entry]:
    """Simulated patients without pictures, with machine, hospital and first day of treatment."""
    rng = np.random.default_rng(seed)
    effects = tumour.PRESETS["guo2024"]
    entries = []
    for index, stratum in enumerate(tumour.strata(num)):
        patient = tumour.draw_patient(rng, index=index, stratum=stratum, effects=effects)
        cells = {name: str(patient.clinical[name]) for name in CLINICAL}
        cells |= {"centre": f"H{rng.integers(3)}", "machine": f"M{rng.integers(4)}"}
        others = {"start": (date(2016, 1, 1) + timedelta(int(rng.integers(1800)))).isoformat()}
        part = "train" if index % 10 else "test"
        entries.append(Entry(patient.patient_id, part, patient.label, cells, others))
    return entries


def in_tables(
    base: Sequence[Entry], spare: Sequence[Entry], folder: Path, rng: np.random.Generator
) -> list[Planted]:
    """Ids, people and pictures that stand in two parts; all planted into one table."""
    folder.mkdir()
    people = [replace(e, patient_id=f"N{number:04d}") for number, e in enumerate(spare)]
    chosen = [base[place] for place in rng.permutation(len(base))]
    added, wanted = [], []

    def plant(kind: str, how: str, entry: Entry, source: Entry) -> None:
        added.append(replace(entry, part="train" if source.part == "test" else "test"))
        wanted.append((kind, how, {entry.patient_id, source.patient_id}))

    for number in range(EACH):
        source = chosen.pop()
        writes = (str, str.lower, lambda text: text.replace("P0", "P-"))[number % 3]
        plant("patient in two parts", "the same id, or written otherwise",
              Entry(writes(source.patient_id), "", source.label), source)  # fmt: skip
        source = chosen.pop()
        plant("person twice", "another id, the same values",
              replace(source, patient_id=f"X{number:03d}", images={}), source)  # fmt: skip
        how = ("the same file", "the same pixels")[number % 2]
        column = ("us_0", "us_1", "slide")[number % 3]
        source, person = chosen.pop(), people.pop()
        path = _copy(source, column, folder / f"c{number}", is_file=number % 2 == 0)
        plant("copied image", how, replace(person, images={**person.images, column: path}), source)
        for how in CHANGES:
            source, person = chosen.pop(), people.pop()
            column = next(c for c in (column, "us_0", "slide") if c in source.images)
            path = _changed(pixels_of(source, column), how, folder / f"{how[:2]}{number}", rng)
            images = {**person.images, column: path}
            plant("near copy", how, replace(person, images=images), source)
        person, source = people.pop(), chosen.pop()
        word = ("flip", "rot10", "aug3")[number % 3]
        path = folder / f"{source.images['us_0'].stem}_{word}.png"
        Image.fromarray(pixels_of(person, "us_0")).save(path)
        renamed = replace(person, images={"us_0": path})
        plant("changed before the split", "file names", renamed, source)
    found = find_leaks(Sources((*base, *added), slides=("slide",)))
    return [
        Planted(kind, how, any(leak.kind == kind and ids <= set(leak.patients) for leak in found))
        for kind, how, ids in wanted
    ]


def _copy(source: Entry, column: str, path: Path, *, is_file: bool) -> Path:
    """The file of another patient under a new name, or its pixels saved anew."""
    old = source.images[column]
    if is_file or column == "slide":
        new = path.with_suffix(old.suffix)
        shutil.copyfile(old, new)
        if not is_file:  # a slide with other bytes and the same pixels
            new.write_bytes(new.read_bytes() + b"\0")
        return new
    Image.fromarray(pixels_of(source, column)).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def _changed(pixels: Pixels, how: str, path: Path, rng: np.random.Generator) -> Path:
    """A picture changed in one way and saved."""
    picture = Image.fromarray(pixels)
    width, height = picture.size
    values = pixels.astype(float)
    if how == "JPEG":
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=int(rng.integers(30, 90)))
        picture = Image.open(content)
    elif how == "resized":
        factor = rng.uniform(0.5, 2)
        size = round(factor * width), round(factor * height)
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    elif how == "mirrored":
        ways = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM
        picture = picture.transpose(ways[int(rng.integers(2))])
    elif how == "turned":
        picture = picture.rotate(rng.uniform(-10, 10), Image.Resampling.BILINEAR)
    elif how == "cropped":
        left, top, right, bottom = rng.uniform(0.02, 0.08, 4)
        box = left * width, top * height, (1 - right) * width, (1 - bottom) * height
        picture = picture.crop(tuple(map(round, box)))  # type: ignore[arg-type]
    elif how == "brighter or darker":
        values = 255 * (values / 255) ** rng.uniform(0.6, 1.6)
        values = rng.uniform(0.7, 1.3) * values + rng.uniform(-25, 25)
        picture = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    else:
        values += rng.normal(0, rng.uniform(3, 12), values.shape)
        picture = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    path = path.with_suffix(".png")
    picture.convert("RGB").save(path)
    return path


def in_columns(base: Sequence[Entry], folder: Path, rng: np.random.Generator) -> list[Planted]:
    """Columns and files that hold the outcome, one table for each."""
    names = ("RCB class", "ypT", "Miller-Payne grade", "surgery_type", "pathological response",
             "residual tumour mm", "relapse", "overall survival months")  # fmt: skip
    rows = []
    for number in range(EACH):
        way = number % 4
        column, texts = "x", ["" for _ in base]
        if way == 0:
            column = names[number // 4]
            texts = [str(rng.integers(4)) for _ in base]
        elif way == 1:  # a number that tells the outcome, but for one patient in 50
            told = [(entry.label or 0) ^ int(rng.random() < 0.02) for entry in base]
            texts = [f"{value + rng.normal(0, 0.1):.3f}" for value in told]
        elif way == 2:  # written down after pCR alone
            texts = [str(rng.integers(9)) if entry.label else "" for entry in base]
        else:
            days = [date(2018, 1, 1) + timedelta(int(rng.integers(900))) for _ in base]
            texts = [(day + timedelta(int(rng.integers(1, 60)))).isoformat() for day in days]
            surgeries = [day.isoformat() for day in days]
        cells = [{column: text} for text in texts]
        if way == 3:
            cells = [c | {"surgery": day} for c, day in zip(cells, surgeries, strict=True)]
        entries = [
            replace(entry, cells=entry.cells | more)
            for entry, more in zip(base, cells, strict=True)
        ]
        how = ("by name", "a noisy copy", "missing by outcome", "a day after surgery")[way]
        found = outcome_columns(entries)
        is_found = any(f"column {column!r}" in leak.sentence for leak in found)
        rows.append(Planted("outcome in a column", how, is_found))
        rows.append(_in_files(base[:200], folder / str(number), way, rng))
    return rows


def _in_files(base: Sequence[Entry], folder: Path, way: int, rng: np.random.Generator) -> Planted:
    """Files whose folder, name, type or size holds the outcome."""
    how = ("folder", "file name", "file type", "file size")[way]
    entries = []
    for number, entry in enumerate(base):
        label = entry.label or 0
        own = folder / (("rd", "cr")[label] if way == 0 else "images")
        own.mkdir(parents=True, exist_ok=True)
        stem = f"{('A', 'B')[label] if way == 1 else 'P'}{number:03d}"
        path = own / f"{stem}.{('png', 'jpg')[label] if way == 2 else 'png'}"
        path.write_bytes(b"x" * (int(rng.integers(500, 900)) + (600 * label if way == 3 else 0)))
        entries.append(replace(entry, images={"us_0": path}))
    return Planted("outcome in a file", how, bool(outcome_files(entries)))


def in_runs(folder: Path, rng: np.random.Generator) -> list[Planted]:
    """A small run, and copies of it with what test patients decided; and ledgers."""
    store, run = _run(folder)
    clean: list[Leak] = run_leaks(run, store)
    if clean or fitted_on(run, store) is not None:
        raise SystemExit(f"the run without a leak gives {clean}")
    rows = []
    for number in range(EACH):
        for kind, how, change in _TAMPERINGS:
            copy = folder / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(run, copy)
            change(copy, store, rng)
            if kind == "fitted on test":
                rows.append(Planted(kind, how, fitted_on(copy, store) is not None))
            else:
                kinds = {leak.kind for leak in run_leaks(copy, store)}
                rows.append(Planted(kind, how, kind in kinds))
        rows.append(_ledger(folder / f"ledger{number}", number, rng))
    return rows


def _run(folder: Path) -> tuple[Store, Path]:
    """A store of 60 simulated patients and a trained run."""
    settings = run_settings(None, RUN)
    write_phantom(folder / "p", settings.phantom, seed=1)
    checked = check_cohort(folder / "p")
    store = prepare_store(checked, folder / "prepared", settings.prepare)
    assignments = split_patients(checked.patients, settings.split, seed=1)
    train_run(store, assignments, settings, folder / "run")
    predict_run(folder / "run", store)
    return store, folder / "run"


def _threshold(run: Path, _store: Store, rng: np.random.Generator) -> None:
    """A threshold, as models of an earlier version state it, that validation did not choose."""
    card = json.loads((run / "model" / "model.json").read_text())
    kept = operating_point_of_run(run).threshold
    card["threshold"] = kept + float(rng.choice([-1, 1])) * rng.uniform(0.2, 0.4)
    card["threshold_method"] = "highest Youden index on validation patients"
    _write_card(run, card)


def _epoch(run: Path, _store: Store, rng: np.random.Generator) -> None:
    """Another epoch is marked as kept: one that validation puts first by no measure."""
    head, *lines = (run / "metrics.csv").read_text().splitlines()
    rows = [[float(cell) for cell in line.split(",")] for line in lines]
    names = head.split(",")
    loss = [-row[names.index("validation_loss")] for row in rows]
    measures = [[row[names.index(f"validation_{m}")] for row in rows] for m in ("accuracy", "auc")]
    best = {max(range(len(rows)), key=lambda n: (own[n], loss[n])) for own in (*measures, loss)}
    others = [number for number in range(len(rows)) if number not in best]
    chosen = int(rng.choice(others))
    marked = [line.rsplit(",", 1)[0] + f",{int(n == chosen)}" for n, line in enumerate(lines)]
    (run / "metrics.csv").write_text("\n".join([head, *marked]) + "\n")


def _samples(run: Path, store: Store, rng: np.random.Generator) -> None:
    """Changed versions of a patient who is not trained on."""
    others = [a.patient_id for a in read_split(run) if a.split != "train"]
    row = store.row_of[str(rng.choice(others))]
    with (run / "samples.csv").open("a") as file:
        file.write(f"{row},1,0,0.0,1.0,0.0,1.0\n")


def _fitted(run: Path, store: Store, rng: np.random.Generator) -> None:
    """Standardisation and encoding of some test patients as well."""
    assignments = read_split(run)
    test = patients_of(store, assignments, "test")
    some = [test[place] for place in rng.permutation(len(test))[: int(rng.integers(3, len(test)))]]
    train = patients_of(store, assignments, "train")
    encoder, standardisation = fit_preprocessing(store, [*train, *some])
    card = json.loads((run / "model" / "model.json").read_text())
    card["input"]["standardisation"] = standardisation.model_dump(mode="json")
    card["input"]["clinical"] = encoder.model_dump(mode="json")
    _write_card(run, card)


def _write_card(run: Path, card: dict[str, object]) -> None:
    """A changed model card, with its hash as if it had been written so."""
    write_json(run / "model" / "model.json", card)
    manifest = json.loads((run / "model" / "manifest.json").read_text())
    manifest["sha256"]["model.json"] = sha256_of(run / "model" / "model.json")
    write_json(run / "model" / "manifest.json", manifest)


_TAMPERINGS: tuple[tuple[str, str, Callable[[Path, Store, np.random.Generator], None]], ...] = (
    ("chosen on test", "threshold", _threshold),
    ("chosen on test", "epoch", _epoch),
    ("changed before the split", "training samples", _samples),
    ("fitted on test", "with some test patients", _fitted),
)


def _ledger(folder: Path, number: int, rng: np.random.Generator) -> Planted:
    """Several evaluations of the test patients; in every fourth ledger a line is taken out."""
    folder.mkdir()
    for _ in range(3 + number % 5):
        rows = [Prediction(f"P{n}", "TC1", "test", n % 2, rng.random(), ()) for n in range(9)]
        record_opening(folder, {"run": rows})
    if number % 4 == 0:
        lines = (folder / FILE_NAME).read_text().splitlines()
        (folder / FILE_NAME).write_text("\n".join(lines[1:]) + "\n")
    how = "a line taken out" if number % 4 == 0 else "several evaluations"
    return Planted("test opened again", how, bool(opened_again(folder)))
