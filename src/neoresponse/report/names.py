"""Keys of our files -> the names that pages and figures show; the user's names stay as they are."""

from neoresponse.types import CLINICAL_ONLY, SIZE_CHANGE_ONLY, SUBTYPE_ONLY

RUNS = {
    "se_crosst": "SE-CrossT",
    CLINICAL_ONLY: "Clinical variables only",
    SUBTYPE_ONLY: "Subtype only",
    SIZE_CHANGE_ONLY: "Size change only",
    "chosen_inside": "Chosen by inner folds",
}
"""Runs that the software names itself."""

VARIABLES = {
    "phenotype": "Subtype",
    "er": "ER status",
    "her2": "HER2 status",
    "pr": "PR status",
    "ki67_percent": "Ki-67 (%)",
    "regimen": "Regimen",
    "stage": "Stage",
    "machine": "Ultrasound machine",
    "centre": "Centre",
}
"""Variable of a cohort -> how it is headed."""


def capitalised(text: str) -> str:
    """The text with a capital letter in front, as a heading has it."""
    return text[:1].upper() + text[1:]


def display_name(run: str) -> str:
    """The name of a run or reference model as a reader sees it."""
    return RUNS.get(run, run)
