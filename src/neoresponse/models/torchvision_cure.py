"""Lets torchvision be imported beside a build of torch that its wheel was not made for.

timm imports torchvision. The wheel's compiled operators do not load beside a CPU build of torch,
and its import then stops with "operator torchvision::nms does not exist". None of the networks
here use these operators; telling torch their schemas is enough for the import to go through.
"""

import importlib
import sys
import warnings
from typing import Any

from torch.library import Library

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_LIBRARIES: list[Library] = []  # a schema lives as long as the library that defined it


def import_torchvision() -> None:
    """Import torchvision; where its operators are missing, define their schemas first.

    A torchvision that fits its torch is imported as it is.

    Raises:
        ModuleNotFoundError: torchvision is not installed.
    """
    with warnings.catch_warnings():
        # Its image codecs may not load either; nothing here decodes through them.
        warnings.simplefilter("ignore", UserWarning)
        try:
            importlib.import_module("torchvision")
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            _define_schemas()
            importlib.import_module("torchvision")


def _define_schemas() -> None:
    """Define the operators, and forget the modules of the import that failed."""
    make: Any = Library  # torch does not type it
    library = make("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        library.define(schema)
    _LIBRARIES.append(library)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
