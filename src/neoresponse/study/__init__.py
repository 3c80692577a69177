"""A whole study in one folder: every step in order, none done twice, none skipped when due.

`whole.py` has the order; `steps.py` the steps; `trainings.py` trains runs side by side;
`ensemble.py` averages over seeds; `cross_validation.py` and `external.py` test the same networks on
other parts and on other cohorts; `kept.py` keeps trainings that are not wanted now, and `status.py`
says what is due.
"""

from neoresponse.study.kept import kept_trainings
from neoresponse.study.status import study_status
from neoresponse.study.whole import keep_older_study, run_demo, run_study

__all__ = ["keep_older_study", "kept_trainings", "run_demo", "run_study", "study_status"]
