"""Seed + what a lesion's traits show -> B-mode pictures at both visits, with their truth."""
