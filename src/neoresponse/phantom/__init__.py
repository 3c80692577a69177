"""Seed -> a simulated cohort on disk, with its truth beside it."""

from neoresponse.phantom.writer import write_phantom

__all__ = ["write_phantom"]
