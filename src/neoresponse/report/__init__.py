"""A study folder -> one HTML file, with its tables and figures beside it."""

from neoresponse.report.page import write_report

__all__ = ["write_report"]
