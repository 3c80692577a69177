"""Sizes of cohorts, and the sums that they make, from the JSON form of a paper."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neoresponse.audit.tables import Sum
from neoresponse.stats.consistency import Span

Content = Mapping[str, Any]
SIZE_KEYS = ("n", "included")
PARTS_OF = {"unifocal": ("train", "validation", "TC1")}


@dataclass(frozen=True)
class CohortSize:
    """How many patients a cohort has, and how many of them may have pCR."""

    num_patients: int | None = None
    nums_pcr: Sequence[int] = ()
    prevalence: Span | None = None


def sizes(num_patients: int | None, num_pcr: int | None) -> CohortSize:
    """Sizes as far as they are known; without the number of pCR any but none and all is possible.

    Rates of both classes are printed, so each class has at least one patient.
    """
    if num_patients is None:
        return CohortSize()
    if num_pcr is None:
        shares = Span(1 / num_patients, 1 - 1 / num_patients)
        return CohortSize(num_patients, range(1, num_patients), shares)
    share = num_pcr / num_patients
    return CohortSize(num_patients, (num_pcr,), Span(share, share))


def sizes_at(num_patients: int | None, prevalence: Span) -> CohortSize:
    """Sizes where the share of pCR is printed."""
    if num_patients is None:
        return CohortSize(prevalence=prevalence)
    fitting = [
        num
        for num in range(1, num_patients)
        if prevalence.meets(Span(num / num_patients, num / num_patients))
    ]
    return CohortSize(num_patients, tuple(fitting), prevalence)


def cohort_sizes(content: Content) -> dict[str, CohortSize]:
    """Sizes of the cohorts under `cohorts`: {"TC1": {"n": 51, "pCR": 14}}."""
    blocks = content.get("cohorts", {})
    return {
        name: sizes(block["n"], _num_pcr(block))
        for name, block in blocks.items()
        if isinstance(block, Mapping) and isinstance(block.get("n"), int)
    }


def find_cohort(name: str, known: Mapping[str, CohortSize]) -> CohortSize:
    """By its name, or by the one name that ends with it ("TC2" of "multifocal_TC2")."""
    if name in known:
        return known[name]
    ending = [size for full, size in known.items() if full.endswith(f"_{name}")]
    return ending[0] if len(ending) == 1 else CohortSize()


def sums_of_json(content: Content) -> Iterator[Sum]:
    """Every sum that the names in a file promise.

    n (or `included`) = pCR + non_pCR; `total` = whatever stands beside it; included = unifocal +
    multifocal; unifocal = train + validation + TC1; the groups of a table = those of the cohorts;
    `sums` = [{"name": .., "total": .., "parts": {..}}].
    """
    yield from _sums_within("", content)
    blocks = content.get("cohorts", {})
    counted = {
        name: {
            key: block[key] for key in ("n", "pCR", "non_pCR") if isinstance(block.get(key), int)
        }
        for name, block in blocks.items()
        if isinstance(block, Mapping)
    }
    focal = [name for name in counted if name.split("_")[0] in ("unifocal", "multifocal")]
    whole = {
        "n": blocks.get("included"),
        "pCR": blocks.get("pCR"),
        "non_pCR": blocks.get("non_pCR"),
    }
    if len(focal) == 2:
        yield from _sum_of_cohorts("included", whole, {name: counted[name] for name in focal})
    for name, parts in PARTS_OF.items():
        if name in counted and all(part in counted for part in parts):
            yield from _sum_of_cohorts(name, counted[name], {part: counted[part] for part in parts})
    for name, table in content.items():
        if isinstance(table, Mapping) and isinstance(table.get("rows"), list):
            for group in ("pCR", "non_pCR"):
                total, stated = table.get(f"n_{group}"), whole[group]
                if isinstance(total, int) and isinstance(stated, int):
                    yield Sum(name, "all patients", group, total, {"cohorts": stated})
    for row in content.get("sums", ()):
        yield Sum("sums", row["name"], "total", row["total"], row["parts"])


def _num_pcr(block: Content) -> int | None:
    """Number of pCR patients, from itself or from the others."""
    given, others, whole = block.get("pCR"), block.get("non_pCR"), block["n"]
    if isinstance(given, int):
        return given
    return whole - others if isinstance(others, int) else None


def _sums_within(path: str, block: object) -> Iterator[Sum]:
    """Sums that stand within one object, at any depth."""
    if not isinstance(block, Mapping):
        return
    name = path or "file"
    numbers = {key: value for key, value in block.items() if isinstance(value, int)}
    for size in SIZE_KEYS:
        if {size, "pCR", "non_pCR"} <= set(numbers):
            parts = {key: numbers[key] for key in ("pCR", "non_pCR")}
            yield Sum("cohorts", name, size, numbers[size], parts)
    parts = {key: number for key, number in numbers.items() if key != "total"}
    if "total" in numbers and parts:
        yield Sum(name, "total", "total", numbers["total"], parts)
    for key, inner in block.items():
        yield from _sums_within(f"{path}.{key}" if path else key, inner)


def _sum_of_cohorts(
    name: str, whole: Content, parts: Mapping[str, Mapping[str, int]]
) -> Iterator[Sum]:
    """The cohorts' n, pCR and non_pCR add up, as far as all are known."""
    for key in ("n", "pCR", "non_pCR"):
        known = {part: block[key] for part, block in parts.items() if key in block}
        if isinstance(whole.get(key), int) and len(known) == len(parts):
            yield Sum("cohorts", name, key, whole[key], known)
