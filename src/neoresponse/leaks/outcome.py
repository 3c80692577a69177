"""Columns and files of a table -> those that tell the outcome, or are known only after treatment.

How well a column tells the outcome is an AUC with Newcombe's interval: of numbers as they stand,
in either direction; of words by the share of pCR that other patients with the word have (five
parts in turn), so that a column of many words gains nothing by chance.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from neoresponse.leaks.leak import Leak
from neoresponse.leaks.patients import Entry
from neoresponse.leaks.values import as_day, as_number, is_numeric
from neoresponse.stats import newcombe_interval
from neoresponse.types import Estimate, FloatArray, IntArray

TOO_WELL = 0.9
"""Lower end of the AUC's interval from which a column is taken to hold the outcome."""
PARTS = 5
LATER = re.compile(
    r"(^|[^a-z])(rcb|pcr|yp[tn]?[0-9]?|miller|trg|chevallier|sataloff|residual|surg\w*|operation"
    r"|postop\w*|resection|mastectomy|lumpectomy|excision|relapse\w*|recurrence\w*"
    r"|survival|dfs|rfs|efs|death|dead|deceased|follow.?up)([^a-z]|$)"
    r"|pathologic\w*[ _-]*(complete[ _-]*)?response|post[ _-]*(treatment|nac|neoadjuvant|surg)"
    r"|after[ _-]*(treatment|nac|surg)|\u672f\u540e|\u624b\u672f|\u590d\u53d1",
    re.IGNORECASE,
)
"""Names of what is known only after surgery."""
SURGERY = re.compile(r"surg|operation|resection|mastectomy|\u624b\u672f", re.IGNORECASE)


def outcome_columns(entries: Sequence[Entry]) -> list[Leak]:
    """Columns that hold the outcome: by name, by day, or by how well they tell it."""
    columns = _columns(entries)
    found = [_by_name(name) for name in columns if LATER.search(name.replace("_", " "))]
    found += _after_surgery(columns)
    return found + [
        Leak(
            "outcome in a column",
            (),
            f"column {name!r}: expected an input that is known before the outcome, got one that "
            f"{told}. Find out when it was written down, or leave it out.",
        )
        for name, texts in columns.items()
        if (told := _told(entries, texts))
    ]


def outcome_files(entries: Sequence[Entry]) -> list[Leak]:
    """Image columns whose folder, file name, file type or file size tells the outcome."""
    found = []
    for column in sorted({column for entry in entries for column in entry.images}):
        for what, texts in _file_words(entries, column).items():
            if told := _told(entries, texts):
                sentence = (
                    f"{what} of {column}: expected nothing of the outcome in it, got one that "
                    f"{told}. Name and export all files alike."
                )
                found.append(Leak("outcome in a file", (), sentence))
    return found


def _columns(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Column -> its texts, row by row."""
    names = dict.fromkeys(name for entry in entries for name in entry.cells)
    return {name: [entry.cells.get(name, "") for entry in entries] for name in names}


def _by_name(name: str) -> Leak:
    """A column whose name says that it is known only later."""
    sentence = (
        f"column {name!r}: expected an input that is known before treatment ends, got the name of "
        "one that is known after surgery. Leave it out."
    )
    return Leak("outcome in a column", (), sentence)


def _after_surgery(columns: Mapping[str, list[str]]) -> list[Leak]:
    """Columns of days that mostly lie after the day of surgery."""
    days = {name: [as_day(text) for text in texts] for name, texts in columns.items()}
    found = []
    for surgery in (name for name in days if SURGERY.search(name)):
        for name, own in days.items():
            pairs = [(a, b) for a, b in zip(own, days[surgery], strict=True) if a and b]
            if name != surgery and pairs and np.mean([a >= b for a, b in pairs]) > 0.5:
                sentence = (
                    f"column {name!r}: expected days before surgery, got most of {len(pairs)} on "
                    f"or after {surgery!r}. What was written down that day comes too late."
                )
                found.append(Leak("outcome in a column", (), sentence))
    return found


def _told(entries: Sequence[Entry], texts: Sequence[str]) -> str:
    """How a column tells the outcome, or nothing where it does not."""
    known = [(e.label, t) for e, t in zip(entries, texts, strict=True) if e.label is not None]
    label = np.array([y for y, _ in known], dtype=np.int64)
    if not 0 < label.sum() < len(label):
        return ""
    missing = np.array([text == "" for _, text in known], dtype=float)
    found = [("is missing by outcome", _auc(label, missing))]
    is_there = missing == 0
    there = [text for _, text in known if text]
    numbers = [as_number(text) for text in there]
    if 0 < label[is_there].sum() < is_there.sum():
        if is_numeric(there):
            kept = np.array([number is not None for number in numbers])
            values = np.array([number for number in numbers if number is not None])
            found.append(("tells it as a number", _auc(label[is_there][kept], values)))
        if len(set(there)) < len(there) / 2:
            shares = _shares(label[is_there], there)
            found.append(("tells it by its words", _auc(label[is_there], shares)))
    for how, auc in found:
        if auc.low is not None and auc.low >= TOO_WELL:
            return (
                f"{how} (AUC {auc.value:.3f}, {auc.low:.3f} to {auc.high:.3f}, "
                f"n {auc.num_patients}, {auc.method})"
            )
    return ""


def _auc(label: IntArray, values: FloatArray) -> Estimate:
    """The AUC in the direction in which it is above one half."""
    found = newcombe_interval(label, values)
    return found if (found.value or 0.0) >= 0.5 else newcombe_interval(label, -values)


def _shares(label: IntArray, words: Sequence[str]) -> FloatArray:
    """Of each patient the share of pCR among those of other parts who have the same word."""
    names, number = np.unique(np.array(words), return_inverse=True)
    part = np.arange(len(label)) % PARTS
    found = np.zeros(len(label))
    for own in range(PARTS):
        others = part != own
        rate = label[others].mean()
        counts = np.bincount(number[others], minlength=len(names))
        events = np.bincount(number[others], weights=label[others], minlength=len(names))
        found[~others] = ((events + rate) / (counts + 1))[number[~others]]
    return found


def _file_words(entries: Sequence[Entry], column: str) -> dict[str, list[str]]:
    """What may tell the outcome about the files of a column."""
    paths = [entry.images.get(column) for entry in entries]
    return {
        "folder": [path.parent.as_posix() if path else "" for path in paths],
        "name without its digits": [re.sub(r"\d+", "#", p.stem) if p else "" for p in paths],
        "file type": [path.suffix.casefold() if path else "" for path in paths],
        "file size": [str(path.stat().st_size) if path else "" for path in paths],
    }
