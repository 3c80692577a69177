"""Batch -> logits."""
