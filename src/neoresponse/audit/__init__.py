"""Printed tables in, contradictions out: what no patients and no rounding can explain.

`read_tables` reads a paper's tables (JSON or CSV) or our own `metrics.json`; `audit` tries every
rule; `as_text` says it in words. Each rule is one function that states it: `rates` (one confusion
matrix and one ROC curve), `intervals`, `groups` (percentages, P values, effects), `across` (totals,
what is printed twice).
"""

from neoresponse.audit.audit import as_text, audit
from neoresponse.audit.from_json import tables_of_json
from neoresponse.audit.from_metrics import audited, tables_of_metrics
from neoresponse.audit.read import EXAMPLE, read_tables
from neoresponse.audit.tables import Tables
from neoresponse.contracts.metrics import Contradiction

__all__ = [
    "EXAMPLE",
    "Contradiction",
    "Tables",
    "as_text",
    "audit",
    "audited",
    "read_tables",
    "tables_of_json",
    "tables_of_metrics",
]
