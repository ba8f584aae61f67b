"""How features and predictions were spread in training: what live traffic is held against.

    {"purchases_7d": {"kind": "number", "edges": [0, 1, 3], "counts": [10, 5, 2, 1], "nulls": 0, "rows": 18, "mean": …}}
    {"top_category": {"kind": "text", "counts": {"books": 7, …}, "nulls": 1, "rows": 18}}

B1. A number's edges are quantiles of the training rows, at most ten, each once: counts[i] are the values with
    edges[i−1] < value <= edges[i], the first and last without end. So counts of any two sets over the same edges compare.
B2. PSI = Σ (p − q)·ln(p / q), each count half a row larger, so that an empty bin is no infinity. Under 0.1 nothing moved; above
    0.25 much did: the usual reading.
B3. KS is the largest distance between the two cumulative shares at an edge: a lower bound of the exact statistic.
B4. Few rows move by chance: of n and m rows of one kind in k bins, PSI is (1/n + 1/m)·χ²(k − 1), and KS passes
    c·√(1/n + 1/m) once in 2·e^(2c²). `psi_by_chance` and `ks_by_chance` are what is passed once in ten thousand times.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from penstock.features.windows import Value
from penstock.models.signature import text_of_value

Spread: TypeAlias = dict[str, Any]
EDGES_MAX = 10
TEXTS_MAX = 50
OTHER = "…"  # All texts beyond the most frequent.
_TAIL = 3.719  # Of a normal distribution, one in ten thousand lies above.
OUTPUT = "prediction"  # The spread of probabilities or numbers, beside those of the features.


def of(rows: Sequence[Mapping[str, Value]], scored: Sequence[float]) -> dict[str, Spread]:
    """The baseline of a training set. Features under their names, the model's output under `/prediction`."""
    found = {name: spread([row.get(name) for row in rows]) for name in (rows[0] if rows else {})}
    found["/" + OUTPUT] = spread(list(scored))
    return found


def spread(values: Sequence[Value]) -> Spread:
    known = [value for value in values if value is not None]
    if any(isinstance(value, str) for value in known):
        return _texts(values)
    numbers = sorted(float(value) for value in known if not isinstance(value, str))
    edges: list[float] = []
    for i in range(1, EDGES_MAX + 1):
        if numbers:
            edge = numbers[min(len(numbers) - 1, i * len(numbers) // (EDGES_MAX + 1))]
            if not edges or edge > edges[-1]:
                edges.append(edge)
    return fold({"kind": "number", "edges": edges}, values)


def _texts(values: Sequence[Value]) -> Spread:
    counts: dict[str, int] = {}
    for value in values:
        text = text_of_value(value)
        if text is not None:
            counts[text] = counts.get(text, 0) + 1
    kept = sorted(counts, key=lambda text: (-counts[text], text))[:TEXTS_MAX]
    return fold({"kind": "text", "counts": dict.fromkeys(kept, 0)}, values)


def empty_like(baseline: Spread) -> Spread:
    """The same bounds, nothing counted."""
    return fold(baseline, [])


def fold(bounds: Spread, values: Sequence[Value]) -> Spread:
    """Values counted over the bounds of another spread."""
    nulls = sum(value is None for value in values)
    if bounds["kind"] == "text":
        texts = dict.fromkeys(bounds["counts"], 0) | {OTHER: 0}
        for value in values:
            text = text_of_value(value)
            if text is not None:
                texts[text if text in texts else OTHER] += 1
        return {"kind": "text", "counts": texts, "nulls": nulls, "rows": len(values)}
    edges = list(bounds["edges"])
    counts = [0] * (len(edges) + 1)
    total = 0.0
    for value in values:
        if value is not None and not isinstance(value, str):
            counts[bisect_left(edges, float(value))] += 1
            total += float(value)
    known = sum(counts)
    return {
        "kind": "number",
        "edges": edges,
        "counts": counts,
        "nulls": nulls,
        "rows": len(values),
        "mean": total / known if known else None,
    }


def _counts(held: Spread) -> list[int]:
    """Of each bin, nulls last."""
    counts = list(held["counts"].values()) if held["kind"] == "text" else list(held["counts"])
    return [*counts, held["nulls"]]


def shares(held: Spread) -> list[float]:
    """The share of each bin, nulls last."""
    counts = _counts(held)
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def psi(expected: Spread, seen: Spread) -> float:
    """B2."""
    left, right = _counts(expected), _counts(seen)
    bins = [(a, b) for a, b in zip(left, right, strict=True) if a or b]
    if not any(left) or not any(right):
        return 0.0
    below_left, below_right = sum(left) + len(bins) / 2, sum(right) + len(bins) / 2
    total = 0.0
    for a, b in bins:
        p, q = (a + 0.5) / below_left, (b + 0.5) / below_right
        total += (q - p) * math.log(q / p)
    return total


def psi_by_chance(expected: Spread, seen: Spread) -> float:
    """B4, with Wilson and Hilferty's form of χ²."""
    free = sum(1 for a, b in zip(_counts(expected), _counts(seen), strict=True) if a or b) - 1
    if free < 1:
        return 0.0
    part = 2 / (9 * free)
    return _one_over(expected, seen) * free * (1 - part + _TAIL * math.sqrt(part)) ** 3


def ks(expected: Spread, seen: Spread) -> float:
    """B3. Of numbers only; nulls count as the last bin."""
    distance = below_p = below_q = 0.0
    for p, q in zip(shares(expected), shares(seen), strict=True):
        below_p, below_q = below_p + p, below_q + q
        distance = max(distance, abs(below_p - below_q))
    return distance


def ks_by_chance(expected: Spread, seen: Spread) -> float:
    """B4."""
    return math.sqrt(_one_over(expected, seen) * math.log(2 / 1e-4) / 2)


def _one_over(expected: Spread, seen: Spread) -> float:
    return sum(1 / max(1, sum(_counts(each))) for each in (expected, seen))


def null_rate(held: Spread) -> float:
    return held["nulls"] / held["rows"] if held["rows"] else 0.0
