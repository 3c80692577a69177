"""What this machine has, what is missing, and the command that mends it."""

import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

NEEDED_FREE_BYTES = 10 * 2**30
NEEDED_MEMORY_BYTES = 4 * 2**30
PACKAGES = ("numpy", "torch", "pydicom", "openslide-python", "openslide-bin", "tifffile", "pandas")
EXTRAS = {"baselines": "timm"}


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at.

    Attributes:
        name: what.
        is_fine: whether it is as needed.
        found: what was found.
        remedy: the command or act that mends it, empty where it is fine.
        is_needed: whether nothing works without it.
    """

    name: str
    is_fine: bool
    found: str
    remedy: str = ""
    is_needed: bool = True


def diagnose(folder: Path) -> list[Diagnosis]:
    """Look at Python, packages, extras, processor, memory and disk; torch is not imported.

    Args:
        folder: where results would be written.
    """
    return [
        _python(),
        *(_package(name) for name in PACKAGES),
        *(_extra(extra, package) for extra, package in EXTRAS.items()),
        _gpu(),
        Diagnosis("processor cores", is_fine=True, found=str(os.cpu_count() or 1)),
        *_memory(),
        _disk(folder),
    ]


def _python() -> Diagnosis:
    """The interpreter's version."""
    is_fine = sys.version_info >= (3, 11)
    remedy = "" if is_fine else "Install Python 3.11 or newer."
    return Diagnosis("Python", is_fine, platform.python_version(), remedy)


def _package(name: str) -> Diagnosis:
    """A package that nothing works without."""
    try:
        return Diagnosis(name, is_fine=True, found=importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Diagnosis(name, False, "not installed", remedy=f"pip install {name}")


def _extra(extra: str, package: str) -> Diagnosis:
    """A package that only one part needs."""
    try:
        return Diagnosis(f"extra {extra}", True, importlib.metadata.version(package), "", False)
    except importlib.metadata.PackageNotFoundError:
        remedy = f"pip install 'neoresponse[{extra}]'"
        return Diagnosis(f"extra {extra}", False, "not installed", remedy, is_needed=False)


def _gpu() -> Diagnosis:
    """A driver that torch could use; the cheap look, without importing torch."""
    has_driver = shutil.which("nvidia-smi") is not None
    found = "NVIDIA driver present" if has_driver else "none, the processor is used"
    return Diagnosis("GPU", is_fine=True, found=found, is_needed=False)


def _memory() -> list[Diagnosis]:
    """Memory of the machine, or nothing where the system does not say."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return []
    if total <= 0:
        return []
    is_fine = total >= NEEDED_MEMORY_BYTES
    remedy = "" if is_fine else "Use a machine with 4 GiB or smaller images (prepare.image_px)."
    return [Diagnosis("memory", is_fine, f"{total / 2**30:.1f} GiB", remedy, is_needed=False)]


def _disk(folder: Path) -> Diagnosis:
    """Free space where results go."""
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    is_fine = free >= NEEDED_FREE_BYTES
    remedy = "" if is_fine else "Free some space: a full-size study takes about 10 GiB."
    return Diagnosis("free disk", is_fine, f"{free / 2**30:.0f} GiB", remedy, is_needed=False)
