"""A line of `test-openings.jsonl`: test patients were evaluated with these predictions."""

from neoresponse.contracts.record import Record

FILE_NAME = "test-openings.jsonl"


class Opening(Record):
    """One evaluation of test patients."""

    number: int
    """Of the line, from 1."""
    num_patients: int
    runs: dict[str, str]
    """Name of a run -> SHA-256 of its predictions of test patients."""
    before: str
    """SHA-256 of the line before; zeros in the first one."""
