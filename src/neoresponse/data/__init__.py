"""Stored arrays -> batches of named tensors."""
