"""Image files -> pixels with their size in the world, and outlines in pixels."""

from neoresponse.imaging.roi import (
    check_inside,
    mask_from_roi,
    mask_size,
    read_roi,
    roi_from_mask,
)
from neoresponse.imaging.slide import Slide, open_slide
from neoresponse.imaging.ultrasound import names_patient, read_ultrasound

__all__ = [
    "Slide",
    "check_inside",
    "mask_from_roi",
    "mask_size",
    "names_patient",
    "open_slide",
    "read_roi",
    "read_ultrasound",
    "roi_from_mask",
]
