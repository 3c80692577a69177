"""One thing made worse, by a dose: families of phantoms that differ in nothing else.

A dose of 0 gives the very bytes of the phantom without stress; 1 is about as far as machines,
laboratories and people differ; more is more. What is hidden in the patients, and so the best
reachable AUC, stays as it is.
"""

from dataclasses import dataclass

from neoresponse.settings import PhantomSettings


@dataclass(frozen=True)
class Stress:
    """What differs from the usual phantom.

    Attributes:
        gain_db: added to the gain of both ultrasound frames.
        depth: factor on width and depth of the ultrasound picture, in mm.
        probe: factor on the width of the point spread function.
        speckle: which other draw of scatterers; 0 is the usual.
        outline: standard deviation of the jitter that drawn outlines get besides, as a share of the
            lesion's radius.
        plane_mm: how far the plane of US-1 lies beside that of US-0.
        stain: how far stain hues and strengths are off, 0 for not at all.
        defocus_um: standard deviation of the blur that slides get besides.
        jpeg_loss: what is taken from the quality of the slides' JPEG, of 100.
        shift: by how much drawn outlines lie beside the lesion, as a share of its radius.
    """

    gain_db: float = 0.0
    depth: float = 1.0
    probe: float = 1.0
    speckle: int = 0
    outline: float = 0.0
    plane_mm: float = 0.0
    stain: float = 0.0
    defocus_um: float = 0.0
    jpeg_loss: int = 0
    shift: float = 0.0


def stress_of(settings: PhantomSettings) -> Stress:
    """The stress that the settings name."""
    dose = settings.dose
    families = {
        "none": Stress(),
        "gain": Stress(gain_db=6.0 * dose),
        "depth": Stress(depth=1.0 + 0.3 * dose),
        "probe": Stress(probe=1.0 + 0.5 * dose),
        "speckle": Stress(speckle=round(dose)),
        "outline": Stress(outline=0.10 * dose),
        "plane": Stress(plane_mm=4.0 * dose),
        "stain": Stress(stain=dose),
        "focus": Stress(defocus_um=1.0 * dose),
        "jpeg": Stress(jpeg_loss=min(85, round(40 * dose))),
        "shift": Stress(shift=0.25 * dose),
    }
    return families[settings.stress]
