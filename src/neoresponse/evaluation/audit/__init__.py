"""Printed tables in, contradictions out: what no patients and no rounding can explain.

`read_tables` reads a paper's tables (JSON or CSV) or our own `metrics.json`; `audit` tries every
rule; `as_text` says it in words. Each rule is one function that states it: `rates` (one confusion
matrix and one ROC curve), `intervals`, `groups` (percentages, P values, effects), `across` (totals,
what is printed twice).
"""

from neoresponse.evaluation.audit.audit import as_text, audit
from neoresponse.evaluation.audit.from_json import tables_of_json
from neoresponse.evaluation.audit.from_metrics import tables_of_metrics
from neoresponse.evaluation.audit.read import EXAMPLE, read_tables
from neoresponse.evaluation.audit.tables import Contradiction, Tables

__all__ = [
    "EXAMPLE",
    "Contradiction",
    "Tables",
    "as_text",
    "audit",
    "read_tables",
    "tables_of_json",
    "tables_of_metrics",
]
