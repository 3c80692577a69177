"""Predicts pathologic complete response (pCR) of breast cancer to neoadjuvant chemotherapy."""

__version__ = "0.1.0"

__all__ = ["__version__"]
