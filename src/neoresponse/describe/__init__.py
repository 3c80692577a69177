"""A cohort in tables: who the patients are, whether parts are alike, what goes with pCR.

`table_of_file` and `table_of_cohort` read patients into a `CohortTable`; `describe_by_outcome` is
Table 1, `describe_by_part` the balance of a split, `regress` Table 2, `added_value` what columns
add to a model, `landscape` the data of a picture of everybody. A `Grid` shows a table as text, CSV,
Markdown or HTML.
"""

from neoresponse.describe.added_value import (
    AddedValue,
    added_value,
    leave_pair_out,
    mean_of_pairs,
)
from neoresponse.describe.describe import (
    GroupTable,
    describe_by_outcome,
    describe_by_part,
)
from neoresponse.describe.describe_grid import grid_of_groups
from neoresponse.describe.grid import (
    Grid,
    as_csv,
    as_html,
    as_markdown,
    as_text,
)
from neoresponse.describe.landscape import Landscape, landscape, landscape_csv
from neoresponse.describe.model import Plan, fit_model
from neoresponse.describe.read import (
    Columns,
    table_of_cohort,
    table_of_file,
    variables_of_patients,
)
from neoresponse.describe.regress import RegressionTable, regress
from neoresponse.describe.regress_grid import grids_of_regression
from neoresponse.describe.variables import CohortTable, Variable, levels, number

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
