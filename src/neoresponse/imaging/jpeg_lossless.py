"""JPEG lossless in DICOM: lends the libjpeg-turbo of imagecodecs to pydicom as a decoder.

pydicom's own choices for it are GPL or unmaintained. The names below are what pydicom asks of a
decoder plugin.
"""

from typing import Any

import imagecodecs
from pydicom.pixels.decoders.base import JPEGLosslessDecoder, JPEGLosslessSV1Decoder
from pydicom.uid import JPEGLossless, JPEGLosslessSV1

DECODER_DEPENDENCIES = {
    JPEGLossless: ("imagecodecs>=2024.9",),
    JPEGLosslessSV1: ("imagecodecs>=2024.9",),
}
LABEL = "imagecodecs"


def register() -> None:
    """Make pydicom use this file for JPEG lossless; a second call does nothing."""
    for decoder in (JPEGLosslessDecoder, JPEGLosslessSV1Decoder):
        if LABEL not in decoder.available_plugins:
            decoder.add_plugin(LABEL, (__name__, "decode_frame"))


def is_available(uid: str) -> bool:
    """Whether a transfer syntax can be decoded here."""
    return uid in DECODER_DEPENDENCIES and bool(imagecodecs.JPEG8.available)


def decode_frame(source: bytes, runner: Any) -> bytes:  # noqa: ANN401 (pydicom's DecodeRunner)
    """Decode one frame to bytes in the order that the header states."""
    frame = imagecodecs.jpeg8_decode(source)
    runner.set_option("bits_allocated", 8 * frame.dtype.itemsize)
    runner.set_option("planar_configuration", 0)
    return frame.tobytes()
