"""A cohort in tables: who the patients are, whether parts are alike, what goes with pCR.

`table_of_file` and `table_of_cohort` read patients into a `CohortTable`; `describe_by_outcome` is
Table 1, `describe_by_part` the balance of a split, `regress` Table 2, `added_value` what columns
add to a model, `landscape` the data of a picture of everybody. A `Grid` shows a table as text, CSV,
Markdown or HTML.
"""

from neoresponse.evaluation.cohort_tables.added_value import (
    AddedValue,
    added_value,
    leave_pair_out,
    mean_of_pairs,
)
from neoresponse.evaluation.cohort_tables.describe import (
    GroupTable,
    describe_by_outcome,
    describe_by_part,
)
from neoresponse.evaluation.cohort_tables.describe_grid import grid_of_groups
from neoresponse.evaluation.cohort_tables.grid import (
    Grid,
    as_csv,
    as_html,
    as_markdown,
    as_text,
)
from neoresponse.evaluation.cohort_tables.landscape import Landscape, landscape, landscape_csv
from neoresponse.evaluation.cohort_tables.model import Plan, fit_model
from neoresponse.evaluation.cohort_tables.read import (
    Columns,
    table_of_cohort,
    table_of_file,
    variables_of_patients,
)
from neoresponse.evaluation.cohort_tables.regress import RegressionTable, regress
from neoresponse.evaluation.cohort_tables.regress_grid import grids_of_regression
from neoresponse.evaluation.cohort_tables.variables import CohortTable, Variable, levels, number

__all__ = [
    "AddedValue",
    "CohortTable",
    "Columns",
    "Grid",
    "GroupTable",
    "Landscape",
    "Plan",
    "RegressionTable",
    "Variable",
    "added_value",
    "as_csv",
    "as_html",
    "as_markdown",
    "as_text",
    "describe_by_outcome",
    "describe_by_part",
    "fit_model",
    "grid_of_groups",
    "grids_of_regression",
    "landscape",
    "landscape_csv",
    "leave_pair_out",
    "levels",
    "mean_of_pairs",
    "number",
    "regress",
    "table_of_cohort",
    "table_of_file",
    "variables_of_patients",
]
