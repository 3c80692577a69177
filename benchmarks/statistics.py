"""Measures our statistics: speed beside a sort and a plain loop, and coverage of the intervals.

    python benchmarks/statistics.py [PART ...]

Parts: speed, bootstrap, large, auc, few, difference, counts, areas, calibration, decision, scores,
regression; without a word all of them. The last nine draw cohorts whose true value is known and
count how often an interval holds it: n = 49, 51, 105 and 500, 26 % pCR, true AUCs of 0.7, 0.85
and 0.95.
Between 93 and 97 % is marked "ok"; with 1,000 cohorts a true 95 % shows as 93.6 to 96.4 %.
One processor core; exit code 0, or 2 for an unknown part.

The standard library has a module of this name, and Python looks into the folder of a script first.
So where another script of this folder, or a library for it, imports `statistics`, this file hands
out that module.
"""

import sys

if __name__ == "__main__":
    import statistics_speed

    sys.exit(statistics_speed.main(sys.argv[1:]))

import importlib.util
import sysconfig
from pathlib import Path

spec = importlib.util.spec_from_file_location(
    "statistics", Path(sysconfig.get_path("stdlib")) / "statistics.py"
)
assert spec is not None
assert spec.loader is not None
sys.modules["statistics"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["statistics"])
