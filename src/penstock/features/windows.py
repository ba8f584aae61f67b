"""The arithmetic of features: exact over the rows of a window, rounded once. The only place where a feature has a meaning.

W1. A window of w at t holds the rows with t − w < instant <= t. A row is (instant, tie, item); its order does not matter.
W2. Sums and squares are exact decimals. Division and rounding to float64 happen once, at the end, correctly rounded; the
    square root of a standard deviation is taken of the rounded variance.
W3. A part is what an aggregate knows of some rows. Parts of disjoint rows merge to the part of all of them, so days that
    were folded before (see tiles.py) and raw rows give the same answer.
W4. An event without the attribute, or with a value of a kind that the aggregate does not take, is passed over, as SQL
    passes over NULL. Numbers are summed; strings, numbers, booleans and binary values are counted and remembered.
W5. Exact sums may also be held as whole numbers over a power of ten, the sums of many entities in one list (WHOLE): Python
    divides whole numbers correctly rounded, so each has the bits that its part gives alone.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation
from functools import reduce
from operator import itemgetter
from typing import Any, TypeAlias

from penstock.features.instants import DAY_US
from penstock.model.numbers import canonical

Row: TypeAlias = tuple[int, tuple[Any, ...], dict[str, Any]]
Value: TypeAlias = float | int | str | bool | None
Part: TypeAlias = Any  # What each kind below says.

# Numbers have 38 digits between 1E-130 and 1E+126: squares, and sums of as many rows as a machine holds, fit.
EXACT = Context(prec=1200, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact, InvalidOperation])
ZERO = Decimal(0)
_INSTANT = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Kind:
    """One aggregate function: rows to a part, two parts to one, a part to the value at time t."""

    fold: Callable[[Sequence[Row], str], Part]
    merge: Callable[[Part, Part], Part]
    finish: Callable[[Part, int], Value]
    nothing: Part  # The part of no rows.
    takes_attribute: bool = True
    needs_ties: bool = False
    of_numbers: Callable[[list[Decimal]], Part] | None = None  # What fold does, once the numbers are known.


def _over_numbers(
    of: Callable[[list[Decimal]], Part],
    merge: Callable[[Part, Part], Part],
    finish: Callable[[Part, int], Value],
    nothing: Part,
) -> Kind:
    return Kind(lambda rows, name: of(_numbers(rows, name)), merge, finish, nothing, of_numbers=of)


def _numbers(rows: Sequence[Row], attribute: str) -> list[Decimal]:
    return [
        Decimal(value["N"]) for row in rows if (value := row[2].get(attribute)) is not None and "N" in value
    ]


def _sum(numbers: Sequence[Decimal]) -> Decimal:
    return reduce(EXACT.add, numbers, ZERO)


def divide(above: Decimal, below: Decimal) -> float:
    """Correctly rounded: Python divides whole numbers so, however long they are."""
    a, b = above.as_integer_ratio()
    c, d = below.as_integer_ratio()
    return (a * d) / (b * c)


def scalar(value: dict[str, Any]) -> Value:
    """What last and first remember of an attribute value; None for kinds that they do not take."""
    [(tag, held)] = value.items()
    if tag == "S":
        return str(held)
    if tag == "N":
        return float(Decimal(held))
    if tag == "BOOL":
        return bool(held)
    return _base64(held) if tag == "B" else None


def _base64(held: bytes | str) -> str:
    return held if isinstance(held, str) else b64encode(held).decode()


def token(value: dict[str, Any]) -> tuple[str, str] | None:
    """(kind, text): equal exactly for equal values."""
    [(tag, held)] = value.items()
    if tag == "S":
        return tag, str(held)
    if tag == "N":
        return tag, canonical(held)
    if tag == "BOOL":
        return tag, "true" if held else "false"
    return (tag, _base64(held)) if tag == "B" else None


# -- count, sum, mean, std, min, max, share --


def _mean_part(numbers: Sequence[Decimal]) -> Part:
    return len(numbers), _sum(numbers)


def _std_part(numbers: Sequence[Decimal]) -> Part:
    return len(numbers), _sum(numbers), _sum([EXACT.multiply(number, number) for number in numbers])


def _add_each(left: Part, right: Part) -> Part:
    return tuple(
        EXACT.add(a, b) if isinstance(a, Decimal) else a + b for a, b in zip(left, right, strict=True)
    )


def _finish_mean(part: Part, at_us: int) -> Value:
    count, total = part
    return divide(total, Decimal(count)) if count else None


def _finish_std(part: Part, at_us: int) -> Value:
    count, total, squares = part
    if not count:
        return None
    spread = EXACT.subtract(EXACT.multiply(squares, Decimal(count)), EXACT.multiply(total, total))
    return math.sqrt(divide(spread, Decimal(count * count)))


def _least(left: Part, right: Part) -> Part:
    return right if left is None else left if right is None else min(left, right)


def _most(left: Part, right: Part) -> Part:
    return right if left is None else left if right is None else max(left, right)


def _float_or_none(part: Part, at_us: int) -> Value:
    return None if part is None else float(part)


def _finish_share(part: Part, at_us: int) -> Value:
    chosen, total = part
    return divide(chosen, total) if total else 0.0


# -- distinct, top --


def _fold_values(rows: Sequence[Row], attribute: str) -> Part:
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        value = row[2].get(attribute)
        if value is not None and (key := token(value)) is not None:
            counts[key] = counts.get(key, 0) + 1
    return counts


def _merge_values(left: Part, right: Part) -> Part:
    merged = dict(left)
    for key, count in right.items():
        merged[key] = merged.get(key, 0) + count
    return merged


def _finish_top(part: Part, at_us: int) -> Value:
    by_text: dict[str, int] = {}
    for (_, text), count in part.items():
        by_text[text] = by_text.get(text, 0) + count
    if not by_text:
        return None
    return min(by_text, key=lambda text: (-by_text[text], text))


# -- last, first, and the time since --


def _remembered(rows: Sequence[Row], attribute: str) -> list[tuple[int, tuple[Any, ...], Value]]:
    return [
        (row[0], row[1], kept)
        for row in rows
        if (value := row[2].get(attribute)) is not None and (kept := scalar(value)) is not None
    ]


def _place(part: tuple[int, tuple[Any, ...], Value]) -> tuple[int, tuple[Any, ...]]:
    return part[0], part[1]


def _fold_last(rows: Sequence[Row], attribute: str) -> Part:
    return max(_remembered(rows, attribute), key=_place, default=None)


def _fold_first(rows: Sequence[Row], attribute: str) -> Part:
    return min(_remembered(rows, attribute), key=_place, default=None)


def _later(left: Part, right: Part) -> Part:
    return right if left is None else left if right is None else max(left, right, key=_place)


def _earlier(left: Part, right: Part) -> Part:
    return right if left is None else left if right is None else min(left, right, key=_place)


def _days_since(part: Part, at_us: int) -> Value:
    return None if part is None else (at_us - part) / DAY_US


KINDS: dict[str, Kind] = {
    "count": Kind(
        lambda rows, _: len(rows), lambda a, b: a + b, lambda part, _: int(part), 0, takes_attribute=False
    ),
    "sum": _over_numbers(_sum, EXACT.add, lambda part, _: float(part), ZERO),
    "mean": _over_numbers(_mean_part, _add_each, _finish_mean, (0, ZERO)),
    "std": _over_numbers(_std_part, _add_each, _finish_std, (0, ZERO, ZERO)),
    "min": _over_numbers(lambda numbers: min(numbers, default=None), _least, _float_or_none, None),
    "max": _over_numbers(lambda numbers: max(numbers, default=None), _most, _float_or_none, None),
    # The rows that match `where` are told apart in definition.py: a share is folded from both.
    "share": _over_numbers(_sum, _add_each, _finish_share, (ZERO, ZERO)),
    "distinct": Kind(_fold_values, _merge_values, lambda part, _: len(part), {}),
    "top": Kind(_fold_values, _merge_values, _finish_top, {}),
    "last": Kind(
        _fold_last, _later, lambda part, _: None if part is None else part[2], None, needs_ties=True
    ),
    "first": Kind(
        _fold_first, _earlier, lambda part, _: None if part is None else part[2], None, needs_ties=True
    ),
    "since_last": Kind(
        lambda rows, _: max(map(_INSTANT, rows), default=None), _most, _days_since, None,
        takes_attribute=False,
    ),
    "since_first": Kind(
        lambda rows, _: min(map(_INSTANT, rows), default=None), _least, _days_since, None,
        takes_attribute=False,
    ),
}  # fmt: skip


# -- Many at once (W5): of each component the numbers of all, and the unit that they are divided by --

Numbers: TypeAlias = list[int]


def _whole_means(of: Sequence[Numbers], units: Sequence[int]) -> list[Value]:
    (counts, totals), unit = of, units[1]
    return [t / (n * unit) if n else None for n, t in zip(counts, totals, strict=True)]


def _whole_stds(of: Sequence[Numbers], units: Sequence[int]) -> list[Value]:
    _, unit, square = units
    return [
        math.sqrt((n * q * unit * unit - t * t * square) / (n * n * unit * unit * square)) if n else None
        for n, t, q in zip(*of, strict=True)
    ]


def _whole_shares(of: Sequence[Numbers], units: Sequence[int]) -> list[Value]:
    above, below = units
    return [c * below / (t * above) if t else 0.0 for c, t in zip(*of, strict=True)]


WHOLE: dict[str, Callable[[Sequence[Numbers], Sequence[int]], list[Value]]] = {
    "count": lambda of, _: list(of[0]),
    "sum": lambda of, units: [total / units[0] for total in of[0]],
    "mean": _whole_means,
    "std": _whole_stds,
    "share": _whole_shares,
}
