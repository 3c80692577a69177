"""Seed + settings -> a simulated hospital's cohort folder, and beside it the truth.

`cohort/` is what a hospital sends; `truth/` is what nobody else knows. Patient i depends on seed
and settings alone: neither on how many patients are made nor on how many processes make them.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from neoresponse.folders import new_folder
from neoresponse.phantom import formats, table, tumour
from neoresponse.phantom.biopsy import tissue
from neoresponse.phantom.biopsy.staining import Stain, draw_stain, shift_stain
from neoresponse.phantom.noise import Mask
from neoresponse.phantom.stress import Stress, stress_of
from neoresponse.phantom.truth import TRUTH, Row, write_truth
from neoresponse.phantom.ultrasound import lesion, speckle
from neoresponse.settings import PhantomSettings
from neoresponse.types import FloatArray, Pixels, Track, untracked

NUM_STAIN_BATCHES = 6
LYMPHOCYTE_MASK_STEP = 4
"""Truth masks of slides are this many times smaller than the region, from 512 px on."""
LARGEST_LESION_SHARE = {"unifocal": 0.70, "multifocal": 0.50}
"""A picture is made wide enough that the lesion's size stays below this share of it."""
STREAMS = (
    *("patient", "visits", "tissue", "anatomy", "us_0", "us_1", "scan", "outline", "lesion"),
)
"""Purposes that each have randomness of their own; a new one goes to the end."""
STAIN_STREAM = 99
FRAGMENTED_SHARE = 0.35
"""Of lesions, those whose rest lies in several pieces; it has nothing to do with the outcome."""
FIRST_DAY = date(2017, 7, 1)
STUDY_DAYS = 1780


@dataclass(frozen=True)
class _Job:
    """All that one patient is made from."""

    folder: Path
    settings: PhantomSettings
    seed: int
    index: int
    stratum: tuple[str, int]

    @property
    def stress(self) -> Stress:
        """What is made worse."""
        return stress_of(self.settings)


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
    keep_old: bool = True,
) -> None:
    """Write a simulated cohort and its truth.

    Args:
        out: new folder; gets `cohort/` and `truth/`, and appears only when complete.
        settings: size, preset and picture sizes.
        seed: the same seed and settings give the same bytes.
        num_workers: processes that make patients.
        track: shows progress.
        force: replace a phantom that is there.
        keep_old: keep the replaced one beside it.

    Raises:
        RunError: the folder is there and not empty, or the disk is full.
    """
    with new_folder(out, mark=f"truth/{TRUTH}", force=force, keep_old=keep_old) as part:
        for name in ("cohort/ultrasound", "cohort/slides", "truth/masks"):
            (part / name).mkdir(parents=True)
        jobs = [
            _Job(folder=part, settings=settings, seed=seed, index=index, stratum=stratum)
            for index, stratum in enumerate(tumour.strata(settings.num_patients))
        ]
        with _made(jobs, num_workers) as made:
            rows, truths = zip(*track(made, name="patients", total=len(jobs)), strict=True)
        table.write_table(part / "cohort", rows, file_type=settings.table)
        table.write_cohort_file(part / "cohort", settings, seed=seed)
        write_truth(part / "truth", truths, settings, seed=seed, masks=_masks(settings))


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
    effects = tumour.PRESETS[job.settings.preset]
    patient = tumour.draw_patient(
        _stream(job, "patient"), index=job.index, stratum=job.stratum, effects=effects
    )
    visits = _plan_visits(job, patient)
    seen = _write_both_visits(job, patient, visits)
    slide = _write_biopsy(job, patient, visits)
    name, is_outlined = patient.patient_id, seen["is_outlined_us_1"]
    row: Row = {
        "patient_id": name,
        "pcr": str(patient.label),
        "focality": "multifocal" if patient.is_multifocal else "unifocal",
        "machine": visits.machine.name,
        "centre": "Simulated hospital",
        "us_0": f"ultrasound/{name}_us0.dcm",
        "us_0_roi": f"ultrasound/{name}_us0.roi",
        "us_1": f"ultrasound/{name}_us1.dcm",
        "us_1_roi": f"ultrasound/{name}_us1.roi" if is_outlined else "",
        "slide": f"slides/{name}.tif",
        "slide_roi": f"slides/{name}.xml",
        "nac_start": visits.nac_start.isoformat(),
        **patient.clinical,
    }
    truth: Row = {
        "patient_id": name,
        "label": patient.label,
        "is_multifocal": int(patient.is_multifocal),
        "clinical_cell": patient.clinical_cell,
        **{tumour.column_of(trait): value for trait, value in patient.traits.items()},
        "log_odds": patient.log_odds,
        "probability": float(tumour.probability(np.array(patient.log_odds))),
        "machine": visits.machine.name,
        "stain_batch": visits.stain_batch,
        **seen,
        **slide,
    }
    return row, truth


def _stream(job: _Job, name: str, draw: int = 0) -> np.random.Generator:
    """Randomness of its own for each patient and purpose; `draw` names another draw of it."""
    more = [draw] if draw else []
    return np.random.default_rng([job.seed, job.index, STREAMS.index(name), *more])


def _draw_batch_stain(job: _Job, batch: int) -> Stain:
    """The stain of one batch, the same for all its patients."""
    return draw_stain(np.random.default_rng([job.seed, batch, STAIN_STREAM]))


def _plan_visits(job: _Job, patient: tumour.SimulatedPatient) -> _Visits:
    """Machine, stain batch and days: US-0 in the week before, US-1 about six weeks after."""
    rng = _stream(job, "visits")
    machine = formats.MACHINES[rng.integers(len(formats.MACHINES))]
    nac_start = FIRST_DAY + timedelta(days=int(rng.integers(STUDY_DAYS)))
    room = LARGEST_LESION_SHARE["multifocal" if patient.is_multifocal else "unifocal"]
    field_mm = max(machine.field_mm, patient.diameter_mm / room)
    return _Visits(
        machine=machine,
        stain_batch=int(rng.integers(NUM_STAIN_BATCHES)),
        us_0=nac_start - timedelta(days=int(rng.integers(1, 7))),
        nac_start=nac_start,
        us_1=nac_start + timedelta(days=int(rng.integers(39, 46))),
        field_mm=field_mm * job.stress.depth,
    )


def _write_both_visits(job: _Job, patient: tumour.SimulatedPatient, visits: _Visits) -> Row:
    """Draw and write US-0 and US-1; gives what is true about them."""
    look = _lesion_look(_stream(job, "lesion"), patient)
    anatomy = speckle.draw_anatomy(
        _stream(job, "anatomy"),
        look=look,
        field_mm=visits.field_mm,
        frame_px=job.settings.frame_px,
    )
    before, after = _plan_scans(_stream(job, "scan"), job, patient, gain_db=visits.machine.gain_db)
    truth: dict[str, str | float | int | None] = {
        "diameter_mm": look.diameter_mm,
        "diameter_after_mm": look.diameter_mm * after.relative_diameter,
        "echo_after_db": look.echo_db + after.echo_change_db,
        "is_visible_us_1": int(after.is_visible),
        "shadow_db_per_mm": look.shadow_db_per_mm,
        "spiculation": look.spiculation,
        "fragmentation": after.fragmentation,
        "num_satellites": look.num_satellites,
        "spacing_mm": anatomy.spacing_mm,
    }
    masks = []
    for name, visit in (("us_0", before), ("us_1", after)):
        picture = speckle.draw_picture(_stream(job, name, job.stress.speckle), anatomy, visit)
        _write_visit(job, patient, visits, name=name, picture=picture)
        truth[f"is_outlined_{name}"] = int(picture.border is not None)
        truth[f"lesion_mm2_{name}"] = float(picture.mask.sum()) * anatomy.spacing_mm**2
        masks.append(picture.mask)
    changed = lesion.changed_area(*masks, shift_mm=after.shift_mm, spacing_mm=anatomy.spacing_mm)
    _write_frame_mask(job, patient, visits, name="us_1_changed", mask=changed)
    return truth


def _lesion_look(rng: np.random.Generator, patient: tumour.SimulatedPatient) -> lesion.LesionLook:
    """What the lesion looks like at US-0."""
    return lesion.LesionLook(
        diameter_mm=patient.diameter_mm,
        shadow_db_per_mm=tumour.shadow_db_per_mm(patient.traits["stroma"]),
        spiculation=tumour.spiculation(patient.traits["margin"]),
        echo_db=patient.baseline_echo_db,
        num_satellites=int(rng.integers(1, 3)) if patient.is_multifocal else 0,
    )


def _plan_scans(
    rng: np.random.Generator, job: _Job, patient: tumour.SimulatedPatient, *, gain_db: float
) -> tuple[speckle.Visit, speckle.Visit]:
    """How both visits see the lesion; what is drawn at random has nothing to do with outcome."""
    gains = gain_db + job.stress.gain_db + rng.normal(0, 1.0, 2)
    shift_mm = (float(rng.normal(0, 1.0)), float(rng.normal(0, 0.5)))
    breaks_up = rng.random() < FRAGMENTED_SHARE
    fragmentation = float(rng.uniform(0.3, 1.0)) if breaks_up else 0.0
    response = np.array(patient.traits["response"])
    before = speckle.Visit(gain_db=float(gains[0]), beam_factor=job.stress.probe)
    after = speckle.Visit(
        relative_diameter=float(tumour.relative_diameter(response)),
        echo_change_db=float(tumour.echo_change_db(response)),
        fragmentation=fragmentation,
        shift_mm=shift_mm,
        plane_mismatch_mm=job.stress.plane_mm,
        gain_db=float(gains[1]),
        beam_factor=job.stress.probe,
        is_visible=bool(response <= tumour.LARGEST_VISIBLE_RESPONSE),
    )
    return before, after


def _write_visit(
    job: _Job,
    patient: tumour.SimulatedPatient,
    visits: _Visits,
    *,
    name: str,
    picture: speckle.BModePicture,
) -> None:
    """Frame, outline and masks of one time point."""
    file_stem = f"{patient.patient_id}_{name.replace('_', '')}"
    folder = job.folder / "cohort" / "ultrasound"
    machine, spacing_mm = visits.machine, visits.field_mm / job.settings.frame_px
    facts = formats.FrameFacts(
        machine=machine,
        patient_id=patient.patient_id,
        visit=name.upper().replace("_", "-"),
        acquired=visits.us_0 if name == "us_0" else visits.us_1,
        frame_px=job.settings.frame_px,
        spacing_mm=spacing_mm,
        entropy=(_fingerprint(job), patient.patient_id),
    )
    formats.write_ultrasound(folder / f"{file_stem}.dcm", picture.pixels, facts)
    if picture.border is not None:
        region = formats.region_of(machine, job.settings.frame_px)
        drawn = _drawn_by_hand(_stream(job, "outline"), picture.border, job.stress)
        drawn = np.clip(drawn, 0, job.settings.frame_px)  # nobody draws beside the picture
        outline = drawn + np.array([region.left, region.top])
        formats.write_ultrasound_outline(folder / f"{file_stem}.roi", outline)
    rim = lesion.rim(picture.mask, spacing_mm=spacing_mm)
    for kind, mask in (("lesion", picture.mask), ("rim", rim), ("satellites", picture.satellites)):
        if kind != "satellites" or patient.is_multifocal:
            _write_frame_mask(job, patient, visits, name=f"{name}_{kind}", mask=mask)


def _write_frame_mask(
    job: _Job, patient: tumour.SimulatedPatient, visits: _Visits, *, name: str, mask: Mask
) -> None:
    """A mask at its place in the whole frame."""
    path = job.folder / "truth" / "masks" / f"{patient.patient_id}_{name}.png"
    formats.write_mask(path, formats.in_frame(mask.astype(np.uint8) * 255, visits.machine))


def _drawn_by_hand(rng: np.random.Generator, border: FloatArray, stress: Stress) -> FloatArray:
    """Every second vertex of the true border, each moved by about 1 % of the radius."""
    vertices = border[::2]
    centre = vertices.mean(axis=0)
    jitter = rng.normal(1.0, 0.012, (len(vertices), 1))
    jitter = jitter + stress.outline * rng.standard_normal((len(vertices), 1))
    direction = rng.uniform(0, 2 * np.pi)
    radius = np.linalg.norm(vertices - centre, axis=1).mean()
    beside = stress.shift * radius * np.array([np.cos(direction), np.sin(direction)])
    drawn: FloatArray = centre + (vertices - centre) * jitter + beside
    return drawn


def _write_biopsy(job: _Job, patient: tumour.SimulatedPatient, visits: _Visits) -> Row:
    """Draw and write slide, outline and masks; gives what is true about them."""
    mpp = job.settings.mpp
    look = tissue.TissueLook(
        lymphocyte_fraction=tumour.lymphocyte_fraction(patient.traits["lymphocytes"]),
        stroma_share=tumour.stroma_share(patient.traits["stroma"]),
        nuclear_growth=tumour.nuclear_growth(patient.traits["proliferation"]),
    )
    biopsy = tissue.draw_biopsy(
        _stream(job, "tissue"),
        look=look,
        stain=shift_stain(_draw_batch_stain(job, visits.stain_batch), job.stress.stain),
        region_px=job.settings.region_px,
        mpp=mpp,
        defocus_um=job.stress.defocus_um,
    )
    slides = job.folder / "cohort" / "slides"
    quality = formats.JPEG_QUALITY - job.stress.jpeg_loss
    formats.write_slide(
        slides / f"{patient.patient_id}.tif", biopsy.pixels, mpp=mpp, quality=quality
    )
    formats.write_slide_outline(slides / f"{patient.patient_id}.xml", biopsy.region, mpp=mpp)
    left, top, side = biopsy.region
    region = (slice(top, top + side), slice(left, left + side))
    for name, mask in (("lymphocytes", biopsy.lymphocytes), ("clusters", biopsy.clusters)):
        path = job.folder / "truth" / "masks" / f"{patient.patient_id}_slide_{name}.png"
        formats.write_mask(path, _coverage(mask[region]))
    return {
        "lymphocyte_fraction_meant": look.lymphocyte_fraction,
        "lymphocyte_fraction": float(biopsy.lymphocytes[region].mean()),
        "stroma_share": look.stroma_share,
        "nuclear_growth": look.nuclear_growth,
    }


def _mask_step(region_px: int) -> int:
    """How many times smaller a slide's truth mask is than its region."""
    return LYMPHOCYTE_MASK_STEP if region_px >= 512 else 1


def _coverage(mask: Mask) -> Pixels:
    """Share of each block that the mask covers, 0-255."""
    step = _mask_step(len(mask))
    side = len(mask) // step
    blocks = mask[: side * step, : side * step].reshape(side, step, side, step)
    coverage: Pixels = np.round(255 * blocks.mean(axis=(1, 3))).astype(np.uint8)
    return coverage


def _fingerprint(job: _Job) -> str:
    """What the phantom's pixels follow from, as text."""
    stress = {"stress", "dose"} if job.settings.dose == 0 else set()
    settings = job.settings.model_dump_json(exclude={"num_patients", "table", *stress})
    return f"neoresponse phantom, seed {job.seed}, {settings}"


def _masks(settings: PhantomSettings) -> dict[str, str | int]:
    """What the masks show."""
    return {
        "lesion": "255 inside the true border of the followed lesion, in pixels of the whole frame",
        "rim": "255 up to 2 mm outside of that border",
        "satellites": "255 inside the smaller foci of a multifocal tumour",
        "changed": "255 where lesion was at US-0 and is not at US-1, or was not and is; as US-1",
        "lymphocytes": "0-255 as the share of each block that lymphocyte nuclei cover, "
        "in coordinates of the outlined region",
        "clusters": "the same for clusters of lymphocytes",
        "slide_step": _mask_step(settings.region_px),
    }
