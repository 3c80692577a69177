"""Settings + batches -> a run folder."""
