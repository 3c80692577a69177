"""Images + outlines -> arrays on disk; nothing here is fitted but the clinical encoder."""

from neoresponse.preprocess.clinical import ClinicalEncoder, fit_encoder
from neoresponse.preprocess.store import Store, open_store, prepare_store

__all__ = ["ClinicalEncoder", "Store", "fit_encoder", "open_store", "prepare_store"]
