"""A simulated patient's pictures and borders -> the files that a hospital's machines write.

Ultrasound as DICOM with a burned-in banner outside the B-mode region, slides as tiled pyramidal
TIFF, outlines as ImageJ `.roi` and ImageScope XML. The same content gives the same bytes.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid
from roifile import ROI_TYPE, ImagejRoi

from neoresponse.types import SIMULATED, Box, FloatArray, Pixels

JPEG_QUALITY = 90
SMALLEST_LEVEL_PX = 128


@dataclass(frozen=True)
class Machine:
    """A style of ultrasound machine.

    Attributes:
        name: as the patient table names it.
        model: as the banner and the header name it.
        margins: room left, above, right and below the B-mode picture, as shares of its side.
        least_px: the same in pixels, for small pictures: the banner must fit.
        is_colour: whether frames are stored as RGB.
        ink: colour of the banner's text.
        field_mm: usual width of the picture.
        gain_db: usual gain.
    """

    name: str
    model: str
    margins: tuple[float, float, float, float]
    least_px: tuple[int, int, int, int]
    is_colour: bool
    ink: tuple[int, int, int]
    field_mm: float
    gain_db: float


MACHINES = (
    Machine(
        name="machine A",
        model="PHANTOM ECHO 2000",
        margins=(0.10, 0.13, 0.06, 0.04),
        least_px=(8, 22, 13, 4),
        is_colour=False,
        ink=(230, 230, 230),
        field_mm=42.0,
        gain_db=0.0,
    ),
    Machine(
        name="machine B",
        model="PHANTOM SONO 5",
        margins=(0.30, 0.05, 0.05, 0.05),
        least_px=(52, 4, 13, 4),
        is_colour=True,
        ink=(250, 210, 90),
        field_mm=46.0,
        gain_db=2.5,
    ),
    Machine(
        name="machine C",
        model="PHANTOM RAY 7",
        margins=(0.05, 0.04, 0.12, 0.16),
        least_px=(4, 4, 13, 22),
        is_colour=False,
        ink=(180, 180, 180),
        field_mm=50.0,
        gain_db=-2.5,
    ),
)
"""Three layouts, as the three machines of Guo 2024."""


@dataclass(frozen=True)
class FrameFacts:
    """What a frame's header says.

    Attributes:
        machine: the machine that made it.
        patient_id: the phantom's id; nothing else names the patient.
        visit: "US-0" or "US-1".
        acquired: day of acquisition.
        frame_px: side of the B-mode picture in pixels.
        spacing_mm: size of a pixel of the B-mode picture.
        entropy: words that make the unique identifiers, the same for the same phantom.
    """

    machine: Machine
    patient_id: str
    visit: str
    acquired: date
    frame_px: int
    spacing_mm: float
    entropy: tuple[str, ...]


def region_of(machine: Machine, frame_px: int) -> Box:
    """Where the B-mode picture of `frame_px` a side stands in this machine's frame."""
    left, top, _, _ = _margins_px(machine, frame_px)
    return Box(left, top, left + frame_px, top + frame_px)


def in_frame(picture: Pixels, machine: Machine) -> Pixels:
    """A picture or mask put at its place in a black frame of the machine's size."""
    left, top, right, below = _margins_px(machine, picture.shape[0])
    return np.pad(picture, ((top, below), (left, right)))


def compose_frame(picture: Pixels, facts: FrameFacts) -> Pixels:
    """The screen of a machine: banner, grey bar and depth ticks around the B-mode picture.

    Args:
        picture: grey levels, (side, side).
        facts: the machine, whose layout it is, and what the banner says.

    Returns:
        RGB, (height, width, 3).
    """
    frame_px, machine = facts.frame_px, facts.machine
    depth_mm = frame_px * facts.spacing_mm
    height, width = in_frame(picture, machine).shape
    screen = Image.new("RGB", (width, height))
    pen = ImageDraw.Draw(screen)
    font = ImageFont.load_default(size=max(7, frame_px // 30))
    region = region_of(machine, frame_px)
    lines = [SIMULATED, machine.model, f"{facts.visit} {facts.acquired:%Y-%m-%d}"]
    lines += [f"Depth {depth_mm / 10:.1f} cm", facts.patient_id]
    _draw_banner(pen, font, lines, machine=machine, region=region)
    _draw_ticks(pen, region, depth_mm=depth_mm, ink=machine.ink)
    pixels = np.array(screen)
    box = (slice(int(region.top), int(region.bottom)), slice(int(region.left), int(region.right)))
    pixels[box] = picture[..., None]
    return pixels


def write_ultrasound(path: Path, picture: Pixels, facts: FrameFacts) -> None:
    """Write one frame as an Ultrasound Image Storage object, uncompressed.

    Args:
        path: the DICOM file.
        picture: grey levels of the B-mode picture, (side, side).
        facts: what the banner and the header say; stored grey where the machine has no colour.
    """
    machine = facts.machine
    dataset = _header(facts)
    screen = compose_frame(picture, facts)
    stored = screen if machine.is_colour else screen.max(axis=2)
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 3 if machine.is_colour else 1
    dataset.PhotometricInterpretation = "RGB" if machine.is_colour else "MONOCHROME2"
    if machine.is_colour:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.PixelSpacing = [f"{facts.spacing_mm:.6f}"] * 2
    region = region_of(machine, facts.frame_px)
    dataset.SequenceOfUltrasoundRegions = [_region_item(region, spacing_mm=facts.spacing_mm)]
    content = np.ascontiguousarray(stored).tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)


def write_ultrasound_outline(path: Path, outline: FloatArray) -> None:
    """Write a polygon, (vertices, 2) as x and y in pixels of the frame, as ImageJ does."""
    roi = ImagejRoi.frompoints(outline.astype(np.float32), name="lesion")
    roi.roitype = ROI_TYPE.POLYGON
    path.write_bytes(roi.tobytes())


def write_slide(path: Path, pixels: Pixels, *, mpp: float, quality: int = JPEG_QUALITY) -> None:
    """Write a slide as a pyramid of JPEG tiles, each level half as wide as the one before.

    Args:
        path: the TIFF file.
        pixels: RGB, (height, width, 3).
        mpp: micrometres per pixel.
        quality: of the JPEG, up to 100.
    """
    level, level_mpp, number = Image.fromarray(pixels), mpp, 0
    side = 256 if pixels.shape[0] >= 512 else 64
    with tifffile.TiffWriter(path) as file:
        while number < 2 or level.width >= SMALLEST_LEVEL_PX:
            file.write(
                np.asarray(level),
                photometric="rgb",
                tile=(side, side),
                compression="jpeg",
                compressionargs={"level": quality},
                resolution=(1e4 / level_mpp, 1e4 / level_mpp),
                resolutionunit="CENTIMETER",
                subfiletype=min(number, 1),
                description=f"{SIMULATED} slide" if number == 0 else None,
                software=False,
                metadata=None,
                maxworkers=1,
            )
            level, level_mpp, number = level.reduce(2), level_mpp * 2, number + 1


def write_slide_outline(path: Path, region: tuple[int, int, int], *, mpp: float) -> None:
    """Write a square, given as left, top and side in pixels of level 0, as ImageScope does."""
    left, top, side = region
    corners = [(left, top), (left + side, top), (left + side, top + side), (left, top + side)]
    vertices = "".join(f'     <Vertex X="{x}" Y="{y}" Z="0"/>\n' for x, y in corners)
    path.write_text(
        f'<Annotations MicronsPerPixel="{mpp:.6f}">\n'
        ' <Annotation Id="1" Name="" ReadOnly="0" Type="4" LineColor="65280" Visible="1">\n'
        '  <Attributes><Attribute Name="Description" Id="0" Value="SIMULATED"/></Attributes>\n'
        "  <Regions>\n"
        f'   <Region Id="1" Type="1" Zoom="1" Text="" NegativeROA="0" '
        f'Length="{4 * side}" Area="{side * side}">\n'
        f"    <Vertices>\n{vertices}    </Vertices>\n"
        "   </Region>\n  </Regions>\n </Annotation>\n</Annotations>\n",
        encoding="utf-8",
        newline="\n",
    )


def write_mask(path: Path, mask: Pixels) -> None:
    """Write grey levels, (height, width), as PNG."""
    Image.fromarray(mask).save(path, format="PNG")


def _margins_px(machine: Machine, frame_px: int) -> tuple[int, int, int, int]:
    """Room left, above, right and below the picture, in pixels."""
    left, top, right, below = (
        max(round(share * frame_px), least)
        for share, least in zip(machine.margins, machine.least_px, strict=True)
    )
    return left, top, right, below


def _draw_banner(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    lines: list[str],
    *,
    machine: Machine,
    region: Box,
) -> None:
    """Text where the machine's layout has most room: above, left or below the picture."""
    left, top, _, below = machine.margins
    step = max(8, int(region.width) // 24)
    if left > 0.2:
        for number, line in enumerate(lines):
            for part, words in enumerate(line.split(" ", 1)):
                pen.text((3, 4 + step * (3 * number + part)), words, fill=machine.ink, font=font)
        return
    y = 2 if top > below else int(region.bottom) + 3
    pen.text((3, y), "   ".join(lines[:2]), fill=machine.ink, font=font)
    pen.text((3, y + step), "   ".join(lines[2:]), fill=machine.ink, font=font)


def _draw_ticks(
    pen: ImageDraw.ImageDraw, region: Box, *, depth_mm: float, ink: tuple[int, int, int]
) -> None:
    """A depth tick each 5 mm right of the picture, and a grey bar."""
    x = int(region.right) + 1
    for tick in range(0, int(depth_mm) + 1, 5):
        y = int(region.top + tick / depth_mm * region.height)
        pen.line((x, y, x + (3 if tick % 10 else 5), y), fill=ink)
    for step in range(32):
        y = int(region.top + step / 96 * region.height)
        pen.rectangle((x + 7, y, x + 9, y + int(region.height) // 96), fill=(255 - 8 * step,) * 3)


def _header(facts: FrameFacts) -> Dataset:
    """All elements that do not depend on the pixels."""
    study = generate_uid(entropy_srcs=[*facts.entropy, facts.visit])
    instance = generate_uid(entropy_srcs=[*facts.entropy, facts.visit, "frame"])
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = UltrasoundImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = instance
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "", "0001"]
    dataset.SOPClassUID = UltrasoundImageStorage
    dataset.SOPInstanceUID = instance
    day = f"{facts.acquired:%Y%m%d}"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = day
    dataset.StudyTime = dataset.ContentTime = "090000"
    dataset.AccessionNumber = ""
    dataset.Modality = "US"
    dataset.Manufacturer = f"{SIMULATED}, neoresponse phantom"
    dataset.ManufacturerModelName = facts.machine.model
    dataset.InstitutionName = f"{SIMULATED} hospital"
    dataset.ReferringPhysicianName = ""
    dataset.PatientName = ""
    dataset.PatientID = facts.patient_id
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[*facts.entropy, facts.visit, "series"])
    dataset.StudyID = facts.visit
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "YES"
    dataset.ImageComments = f"{SIMULATED} ultrasound, no patient"
    return dataset


def _region_item(region: Box, *, spacing_mm: float) -> Dataset:
    """The B-mode region (DICOM PS3.3 C.8.5.5): corners inclusive, sizes in cm."""
    item = Dataset()
    item.RegionSpatialFormat = item.RegionDataType = 1  # two-dimensional, tissue
    item.RegionFlags = 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = int(region.left), int(region.top)
    item.RegionLocationMaxX1 = int(region.right) - 1
    item.RegionLocationMaxY1 = int(region.bottom) - 1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3  # cm
    item.PhysicalDeltaX = item.PhysicalDeltaY = spacing_mm / 10
    return item
