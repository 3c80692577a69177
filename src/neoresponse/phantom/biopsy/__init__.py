"""Seed + what a tumour's traits show -> an H&E slide, with its truth."""
