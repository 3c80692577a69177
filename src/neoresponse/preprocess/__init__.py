"""Images + outlines -> arrays on disk; nothing here is fitted but the clinical encoder."""

from neoresponse.preprocess.clinical import encode, fit_encoder
from neoresponse.preprocess.store import Store, open_store, prepare_store

__all__ = ["Store", "encode", "fit_encoder", "open_store", "prepare_store"]
