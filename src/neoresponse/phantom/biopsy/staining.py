"""Stain amounts -> colours of a scanned slide, by Beer-Lambert; and how batches differ.

Optical densities of the two stains are those of Ruifrok and Johnston (Anal. Quant. Cytol. Histol.
2001, 23:291-299), eosin moved toward what is measured in public breast slides.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from neoresponse.phantom.noise import Float32
from neoresponse.types import Pixels

HAEMATOXYLIN = (0.650, 0.704, 0.286)
EOSIN = (0.072, 0.990, 0.105)
"""Published optical density in red, green and blue (Ruifrok and Johnston, Table 1)."""
EOSIN_MEAN = (0.17, 0.94, 0.27)
"""Mean over our batches: eosin in breast slides takes more red and blue than the published one."""
HUE_SPREAD = 0.025
"""Standard deviation between batches of each channel of a stain of length 1."""
NOISE = 1.6
"""Standard deviation of the scanner's noise in grey levels."""


@dataclass(frozen=True)
class Stain:
    """How one batch of slides was stained and scanned.

    Attributes:
        haematoxylin: optical density per unit of stain, (3,).
        eosin: optical density per unit of stain, (3,).
        white: light of the empty slide, (3,).
    """

    haematoxylin: Float32
    eosin: Float32
    white: Float32


def draw_stain(rng: np.random.Generator) -> Stain:
    """Draw a batch's stain: hue and strength vary between batches."""
    strength = rng.uniform(0.75, 1.15, 2)
    vectors = np.array([HAEMATOXYLIN, EOSIN_MEAN]) + rng.normal(0, HUE_SPREAD, (2, 3))
    vectors = np.clip(vectors, 0.02, None)
    vectors *= (strength / np.linalg.norm(vectors, axis=1))[:, None]
    white = np.clip(rng.normal((245, 243, 246), 2.5), 232, 253)
    haematoxylin, eosin = vectors.astype(np.float32)
    return Stain(haematoxylin=haematoxylin, eosin=eosin, white=white.astype(np.float32))


def shift_stain(stain: Stain, dose: float) -> Stain:
    """A stress: the same stain from a laboratory that works differently.

    At dose 1 haematoxylin is weaker by a third and bluer, eosin stronger by half and more orange,
    and the slide yellower; each in proportion to the dose.

    Args:
        stain: a batch's stain.
        dose: 0 changes nothing.
    """
    haematoxylin = _turned(stain.haematoxylin, (0.55, 0.72, 0.43), dose) * (1 - 0.33 * dose)
    eosin = _turned(stain.eosin, (0.05, 0.88, 0.47), dose) * (1 + 0.5 * dose)
    white = stain.white - dose * np.array([1, 5, 16], dtype=np.float32)
    return Stain(
        haematoxylin=np.clip(haematoxylin, 0.01, None).astype(np.float32),
        eosin=np.clip(eosin, 0.01, None).astype(np.float32),
        white=np.clip(white, 180, 255).astype(np.float32),
    )


def transmitted(haematoxylin: Float32, eosin: Float32, stain: Stain, *, channel: int) -> Float32:
    """Light that passes, I = I0 10^-(sum of amounts times optical densities), (height, width).

    Args:
        haematoxylin: amount, (height, width).
        eosin: amount, (height, width).
        stain: the batch's stain.
        channel: 0 red, 1 green, 2 blue.
    """
    per_unit = np.float32(-np.log(10)) * np.array([stain.haematoxylin, stain.eosin])[:, channel]
    light: Float32 = haematoxylin * per_unit[0]
    light += eosin * per_unit[1]
    np.exp(light, out=light)
    light *= stain.white[channel]
    return light


def scanned(
    rng: np.random.Generator,
    haematoxylin: Float32,
    eosin: Float32,
    *,
    stain: Stain,
    defocus_px: float = 0.0,
) -> Pixels:
    """A scanner's picture: Beer-Lambert, the blur of a slide out of focus, noise.

    Amounts come as the optics in focus see them: nothing in them is much sharper than half a
    micrometre.

    Args:
        rng: source of the noise.
        haematoxylin: amount, (height, width).
        eosin: amount, (height, width).
        stain: the batch's stain.
        defocus_px: standard deviation of the blur of a slide out of focus, in pixels.

    Returns:
        RGB, (height, width, 3).
    """
    noise = np.float32(NOISE) * rng.standard_normal(eosin.shape, dtype=np.float32)
    pixels = np.empty((*eosin.shape, 3), dtype=np.uint8)
    for channel in range(3):
        light = transmitted(haematoxylin, eosin, stain, channel=channel)
        if defocus_px > 0:
            light = gaussian_filter(light, defocus_px, mode="nearest", truncate=3.0)
        light += np.roll(noise, 7 * channel, axis=1)
        pixels[..., channel] = np.clip(np.rint(light, out=light), 0, 255, out=light)
    return pixels


def _turned(vector: Float32, toward: tuple[float, float, float], dose: float) -> Float32:
    """A stain of the same strength with its hue moved toward another."""
    strength = np.linalg.norm(vector)
    hue = vector / strength + dose * (np.array(toward) - vector / strength)
    turned: Float32 = (strength * hue / np.linalg.norm(hue)).astype(np.float32)
    return turned
