"""The command line."""

from neoresponse.cli.main import main

__all__ = ["main"]
