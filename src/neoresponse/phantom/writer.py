"""Seed + settings -> a simulated hospital's cohort folder, and beside it the truth.

`cohort/` is what a hospital sends; `truth/` is what nobody else knows. Patient i depends on seed
and settings alone: neither on how many patients are made nor on how many processes make them.
"""

import csv
import io
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from neoresponse.config import PhantomSettings
from neoresponse.durable import new_folder, write_json, write_text
from neoresponse.phantom import clinical, formats, speckle, table, tissue
from neoresponse.types import FloatArray, Pixels, Track, untracked

TRUTH_SCHEMA = "neoresponse.truth/1"
NUM_STAIN_BATCHES = 6
LYMPHOCYTE_MASK_STEP = 4
"""Truth masks of slides are this many times smaller than the region, from 512 px on."""
LARGEST_LESION_SHARE = 0.70
"""A picture is made wide enough that the lesion's size stays below this share of it."""
STREAMS = ("clinical", "visits", "tissue", "anatomy", "us_0", "us_1", "scan", "outline")
"""Purposes that each have randomness of their own; a new one goes to the end."""
FIRST_DAY = date(2017, 7, 1)
STUDY_DAYS = 1780

Row = Mapping[str, str | float | int | None]


@dataclass(frozen=True)
class _Job:
    """All that one patient is made from."""

    folder: Path
    settings: PhantomSettings
    seed: int
    index: int
    stratum: tuple[str, int]


@dataclass(frozen=True)
class _Visits:
    """What is decided about a patient's examinations before anything is drawn."""

    machine: formats.Machine
    stain_batch: int
    us_0: date
    nac_start: date
    us_1: date
    field_mm: float


def write_phantom(  # noqa: PLR0913 (out, what, which seed; the rest is how)
    out: Path,
    settings: PhantomSettings,
    *,
    seed: int,
    num_workers: int = 1,
    track: Track = untracked,
    force: bool = False,
) -> None:
    """Write a simulated cohort and its truth.

    Args:
        out: new folder; gets `cohort/` and `truth/`, and appears only when complete.
        settings: size, preset and picture sizes.
        seed: the same seed and settings give the same bytes.
        num_workers: processes that make patients.
        track: shows progress.
        force: replace a folder that is there.

    Raises:
        RunError: the folder is there and not empty, or the disk is full.
    """
    with new_folder(out, mark="truth", force=force) as part:
        for name in ("cohort/ultrasound", "cohort/slides", "truth/masks"):
            (part / name).mkdir(parents=True)
        jobs = [
            _Job(folder=part, settings=settings, seed=seed, index=index, stratum=stratum)
            for index, stratum in enumerate(clinical.strata(settings.num_patients))
        ]
        with _made(jobs, num_workers) as made:
            rows, truths = zip(*track(made, name="patients", total=len(jobs)), strict=True)
        table.write_table(part / "cohort", rows, file_type=settings.table)
        table.write_cohort_file(part / "cohort", settings, seed=seed)
        _write_truth(part / "truth", truths, settings, seed=seed)


@contextmanager
def _made(jobs: list[_Job], num_workers: int) -> Iterator[Iterator[tuple[Row, Row]]]:
    """The jobs' results in order, from this process or from several."""
    if num_workers <= 1:
        yield map(_write_patient, jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, mp_context=context)
    try:
        yield pool.map(_write_patient, jobs, chunksize=2)
    finally:
        pool.shutdown(cancel_futures=True)  # after an error nobody waits for the rest


def _write_patient(job: _Job) -> tuple[Row, Row]:
    """Make one patient with all files; gives the row of the table and the row of the truth."""
    effects = clinical.PRESETS[job.settings.preset]
    patient = clinical.draw_patient(
        _stream(job, "clinical"), index=job.index, stratum=job.stratum, effects=effects
    )
    visits = _plan_visits(_stream(job, "visits"), patient)
    seen = _write_both_visits(job, patient, visits)
    slide = _write_biopsy(job, patient, visits)
    name, is_visible = patient.patient_id, clinical.is_visible_after(patient.z_response)
    row: Row = {
        "patient_id": name,
        "pcr": str(patient.label),
        "focality": "multifocal" if patient.is_multifocal else "unifocal",
        "machine": visits.machine.name,
        "centre": "Simulated hospital",
        "us_0": f"ultrasound/{name}_us0.dcm",
        "us_0_roi": f"ultrasound/{name}_us0.roi",
        "us_1": f"ultrasound/{name}_us1.dcm",
        "us_1_roi": f"ultrasound/{name}_us1.roi" if is_visible else "",
        "slide": f"slides/{name}.tif",
        "slide_roi": f"slides/{name}.xml",
        "nac_start": visits.nac_start.isoformat(),
        **patient.clinical,
    }
    truth: Row = {
        "patient_id": name,
        "label": patient.label,
        "is_multifocal": int(patient.is_multifocal),
        "z_til": patient.z_til,
        "z_response": patient.z_response,
        "z_hidden": patient.z_hidden,
        "linear_predictor": patient.linear_predictor,
        "probability": patient.probability,
        "machine": visits.machine.name,
        "stain_batch": visits.stain_batch,
        **seen,
        **slide,
    }
    return row, truth


def _stream(job: _Job, name: str) -> np.random.Generator:
    """Randomness of its own for each patient and purpose."""
    return np.random.default_rng([job.seed, job.index, STREAMS.index(name)])


def _draw_batch_stain(job: _Job, batch: int) -> tissue.Stain:
    """The stain of one batch, the same for all its patients."""
    return tissue.draw_stain(np.random.default_rng([job.seed, batch, len(STREAMS)]))


def _plan_visits(rng: np.random.Generator, patient: clinical.SimulatedPatient) -> _Visits:
    """Machine, stain batch and days: US-0 in the week before, US-1 about six weeks after."""
    machine = formats.MACHINES[rng.integers(len(formats.MACHINES))]
    nac_start = FIRST_DAY + timedelta(days=int(rng.integers(STUDY_DAYS)))
    size_mm = float(patient.clinical["size_mm"])
    return _Visits(
        machine=machine,
        stain_batch=int(rng.integers(NUM_STAIN_BATCHES)),
        us_0=nac_start - timedelta(days=int(rng.integers(1, 7))),
        nac_start=nac_start,
        us_1=nac_start + timedelta(days=int(rng.integers(39, 46))),
        field_mm=max(machine.field_mm, size_mm / LARGEST_LESION_SHARE),
    )


def _write_both_visits(job: _Job, patient: clinical.SimulatedPatient, visits: _Visits) -> Row:
    """Draw and write US-0 and US-1; gives what is true about them."""
    anatomy = speckle.draw_anatomy(
        _stream(job, "anatomy"),
        size_mm=float(patient.clinical["size_mm"]),
        field_mm=visits.field_mm,
        frame_px=job.settings.frame_px,
    )
    rng = _stream(job, "scan")
    gains = visits.machine.gain_db + rng.normal(0, 1.0, 2)
    before = speckle.Visit(gain_db=float(gains[0]))
    after = speckle.Visit(
        relative_diameter=clinical.relative_diameter(patient.z_response),
        echo_change_db=clinical.echo_change_db(patient.z_response),
        shift_mm=(float(rng.normal(0, 1.0)), float(rng.normal(0, 0.5))),
        gain_db=float(gains[1]),
        is_visible=clinical.is_visible_after(patient.z_response),
    )
    truth: dict[str, str | float | int | None] = {
        "relative_diameter": after.relative_diameter,
        "is_visible_us_1": int(after.is_visible),
        "echo_change_db": after.echo_change_db,
        "shadow_db_per_mm": anatomy.shadow_db_per_mm,
        "spacing_mm": anatomy.spacing_mm,
    }
    for name, visit in (("us_0", before), ("us_1", after)):
        picture = speckle.draw_picture(_stream(job, name), anatomy, visit)
        _write_visit(job, patient, visits, name=name, picture=picture)
        truth[f"lesion_mm2_{name}"] = float(picture.mask.sum()) * anatomy.spacing_mm**2
    return truth


def _write_visit(
    job: _Job,
    patient: clinical.SimulatedPatient,
    visits: _Visits,
    *,
    name: str,
    picture: speckle.BModePicture,
) -> None:
    """Frame, outline and mask of one time point."""
    file_stem = f"{patient.patient_id}_{name.replace('_', '')}"
    folder = job.folder / "cohort" / "ultrasound"
    machine = visits.machine
    facts = formats.FrameFacts(
        machine=machine,
        patient_id=patient.patient_id,
        visit=name.upper().replace("_", "-"),
        acquired=visits.us_0 if name == "us_0" else visits.us_1,
        frame_px=job.settings.frame_px,
        spacing_mm=visits.field_mm / job.settings.frame_px,
        entropy=(_fingerprint(job), patient.patient_id),
    )
    formats.write_ultrasound(folder / f"{file_stem}.dcm", picture.pixels, facts)
    if picture.border is not None:
        region = formats.region_of(machine, job.settings.frame_px)
        drawn = _drawn_by_hand(_stream(job, "outline"), picture.border)
        drawn = np.clip(drawn, 0, job.settings.frame_px)  # nobody draws beside the picture
        outline = drawn + np.array([region.left, region.top])
        formats.write_ultrasound_outline(folder / f"{file_stem}.roi", outline)
    mask = formats.in_frame(picture.mask.astype(np.uint8) * 255, machine)
    path = job.folder / "truth" / "masks" / f"{patient.patient_id}_{name}_lesion.png"
    formats.write_mask(path, mask)


def _drawn_by_hand(rng: np.random.Generator, border: FloatArray) -> FloatArray:
    """Every second vertex of the true border, each moved by about 1 % of the radius."""
    vertices = border[::2]
    centre = vertices.mean(axis=0)
    drawn: FloatArray = centre + (vertices - centre) * rng.normal(1.0, 0.012, (len(vertices), 1))
    return drawn


def _write_biopsy(job: _Job, patient: clinical.SimulatedPatient, visits: _Visits) -> Row:
    """Draw and write slide, outline and mask; gives what is true about them."""
    mpp, fraction = job.settings.mpp, clinical.lymphocyte_fraction(patient.z_til)
    biopsy = tissue.draw_biopsy(
        _stream(job, "tissue"),
        lymphocyte_fraction=fraction,
        stain=_draw_batch_stain(job, visits.stain_batch),
        region_px=job.settings.region_px,
        mpp=mpp,
    )
    folder = job.folder / "cohort" / "slides"
    formats.write_slide(folder / f"{patient.patient_id}.tif", biopsy.pixels, mpp=mpp)
    formats.write_slide_outline(folder / f"{patient.patient_id}.xml", biopsy.region, mpp=mpp)
    left, top, side = biopsy.region
    inside = biopsy.lymphocytes[top : top + side, left : left + side]
    path = job.folder / "truth" / "masks" / f"{patient.patient_id}_slide_lymphocytes.png"
    formats.write_mask(path, _coverage(inside))
    return {"lymphocyte_fraction_meant": fraction, "lymphocyte_fraction": float(inside.mean())}


def _mask_step(region_px: int) -> int:
    """How many times smaller a slide's truth mask is than its region."""
    return LYMPHOCYTE_MASK_STEP if region_px >= 512 else 1


def _coverage(mask: speckle.Mask) -> Pixels:
    """Share of each block that the mask covers, 0-255."""
    step = _mask_step(len(mask))
    side = len(mask) // step
    blocks = mask[: side * step, : side * step].reshape(side, step, side, step)
    coverage: Pixels = np.round(255 * blocks.mean(axis=(1, 3))).astype(np.uint8)
    return coverage


def _fingerprint(job: _Job) -> str:
    """What the phantom's pixels follow from, as text."""
    settings = job.settings.model_dump_json(exclude={"num_patients", "table"})
    return f"neoresponse phantom, seed {job.seed}, {settings}"


def _write_truth(
    folder: Path, truths: tuple[Row, ...], settings: PhantomSettings, *, seed: int
) -> None:
    """`truth.csv` and `truth.json`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(truths[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(truths)
    write_text(folder / "truth.csv", text.getvalue())
    effects = clinical.PRESETS[settings.preset]
    content = {
        "schema": TRUTH_SCHEMA,
        "is_simulated": True,
        "seed": seed,
        "settings": settings.model_dump(mode="json"),
        "effects": clinical.effects_as_dict(effects),
        "masks": {
            "lesion": "255 inside the lesion's true border, in pixels of the whole frame",
            "lymphocytes": "0-255 as the share of each block that lymphocyte nuclei cover, "
            "in coordinates of the outlined region",
            "lymphocytes_step": _mask_step(settings.region_px),
        },
    }
    write_json(folder / "truth.json", content)
