"""`search.json`: what a search over settings was started with."""

from typing import ClassVar

from pydantic import JsonValue

from neoresponse.contracts.record import FileRecord


class SearchInputs(FileRecord):
    """What decides every trial; the number of trials is free to change."""

    SCHEMA: ClassVar[str] = "neoresponse.search/1"
    FILE_NAME: ClassVar[str] = "search.json"

    software: str
    settings: dict[str, JsonValue]
    prepared_sha256: str
    """Of the store's manifest."""
    folds_sha256: tuple[str, ...]
    """Of each inner fold's split."""
