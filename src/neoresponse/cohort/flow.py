"""Who was left out and why: the numbers of a patient flow chart."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from neoresponse.cohort.dictionary import CLINICAL, CohortFile
from neoresponse.types import Finding, Modality, Patient, Severity

SCHEMA, FILE_NAME = "neoresponse.flow/1", "flow.json"
REASONS = {
    "patient_id": "patient_id used twice or not usable",
    "pcr": "pCR result missing or not understood",
    "focality": "focality not understood",
    "us_0": "US-0 frame missing or not usable",
    "us_0_roi": "US-0 outline missing or not usable",
    "us_1": "US-1 frame missing, not usable or not after US-0",
    "us_1_roi": "US-1 outline not usable",
    "slide": "slide missing or not usable",
    "slide_roi": "slide outline missing or not usable",
    "clinical": "no image and no clinical value",
    **{word: f"{word} not understood or impossible" for word in CLINICAL},
}
"""Where a finding is -> the reason in a flow chart."""


def count_flow(
    file: CohortFile, patients: Sequence[Patient], findings: Sequence[Finding], *, num_rows: int
) -> dict[str, Any]:
    """Count a checked cohort.

    Args:
        file: the cohort's `cohort.toml`.
        patients: those that passed.
        findings: all findings.
        num_rows: rows of the patient table.

    Returns:
        What `flow.json` holds; a row that was left out counts once, under its first reason.
    """
    return {
        "schema": SCHEMA,
        "cohort_name": file.name,
        "is_simulated": file.is_simulated,
        "note": file.note,
        "num_rows": num_rows,
        "num_excluded": num_rows - len(patients),
        "num_included": len(patients),
        "reasons": [
            {"reason": reason, "num_patients": number}
            for reason, number in _reasons(findings).most_common()
        ],
        "counts": {
            "unifocal": _count_labels([p for p in patients if not p.is_multifocal]),
            "multifocal": _count_labels([p for p in patients if p.is_multifocal]),
        },
        "available": {
            modality: sum(modality in patient.available for patient in patients)
            for modality in Modality
        },
    }


def _reasons(findings: Sequence[Finding]) -> Counter[str]:
    """First reason of each row that was left out; each copy of a patient_id is a row."""
    reasons: Counter[str] = Counter()
    seen: set[str | None] = set()
    for finding in findings:
        if finding.severity is not Severity.EXCLUDE:
            continue
        if finding.where == "patient_id" or finding.patient_id not in seen:
            reasons[REASONS[finding.where]] += 1
        seen.add(finding.patient_id)
    return reasons


def _count_labels(patients: Sequence[Patient]) -> dict[str, int]:
    """Patients with and without pCR; those without a label are in neither."""
    return {
        "pcr": sum(patient.label == 1 for patient in patients),
        "residual": sum(patient.label == 0 for patient in patients),
    }
