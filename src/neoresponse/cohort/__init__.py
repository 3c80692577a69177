"""A cohort folder -> checked patients, who was left out and why, and the split."""

from neoresponse.cohort.dictionary import CohortFile, find_cohort, load_cohort_file
from neoresponse.cohort.split import (
    Assignment,
    count_parts,
    count_samples,
    read_split,
    split_patients,
    write_split,
)
from neoresponse.cohort.table_file import TableFile, read_table, read_table_file
from neoresponse.cohort.validate import CheckedCohort, check_cohort, raise_on_stop, write_check

__all__ = [
    "Assignment",
    "CheckedCohort",
    "CohortFile",
    "TableFile",
    "check_cohort",
    "count_parts",
    "count_samples",
    "find_cohort",
    "load_cohort_file",
    "raise_on_stop",
    "read_split",
    "read_table",
    "read_table_file",
    "split_patients",
    "write_check",
    "write_split",
]
