"""Instants: time attributes as microseconds since 1970 UTC, and the index ranges that surely hold a window.

I1. Text is ISO 8601 with date and time to the second: `2026-11-20T10:00:00`, then up to nine digits of fraction, then `Z`,
    `+00:00` or nothing (which means UTC), or a date alone. Digits beyond the microsecond are cut off.
I2. Another offset than zero is no instant here: such text does not sort by time, so an index would lose it. Ingestion
    normalises it; a row that has one all the same is skipped online and offline alike, and counted.
I3. A number is seconds, milliseconds or microseconds since 1970, as declared, cut off below the microsecond.
I4. Text order is not time order inside one second: `…00.500Z` sorts before `…00Z`. So a range of text is bounded at whole
    seconds, a little wide, and each row is compared again as an instant.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from functools import lru_cache
from typing import Any

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
_UNIT_US = {"s": Decimal(SECOND_US), "ms": Decimal(1000), "us": Decimal(1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_LEAST_US = -62_135_596_800 * SECOND_US  # 0001-01-01
_MOST_US = 253_402_300_800 * SECOND_US - 1  # the end of 9999
_is_iso = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|[+-]00:00)?)?"
).fullmatch
_CUT = Context(prec=60, rounding=ROUND_FLOOR)


def instant_of(value: dict[str, Any], unit: str) -> int | None:
    """A time attribute as an instant, or None where it is none (I1 to I3)."""
    text = value.get("S")
    if text is not None:
        return instant_of_text(text)
    number = value.get("N")
    return None if number is None else instant_of_number(number, unit)


def instant_of_text(text: str) -> int | None:
    # Nearly all rows have the form that ingestion writes; the pattern is for the others.
    if len(text) == 27 and text[26] == "Z" and text[19] == "." and text[10] == "T" and text[7] == "-":
        try:
            passed = datetime.fromisoformat(text) - _EPOCH
        except ValueError:
            return None
        return (passed.days * 86_400 + passed.seconds) * SECOND_US + passed.microseconds
    found = _is_iso(text)
    if found is None:
        return None
    day, clock, fraction = found.groups()
    try:
        passed = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}") - _NAIVE_EPOCH
    except ValueError:
        return None
    return (passed.days * 86_400 + passed.seconds) * SECOND_US + int((fraction or "")[:6].ljust(6, "0"))


def instant_of_number(text: str, unit: str) -> int | None:
    scaled = (Decimal(text) * _UNIT_US[unit]).to_integral_value(ROUND_FLOOR, _CUT)
    return int(scaled) if _LEAST_US <= scaled <= _MOST_US else None


def text_of(instant_us: int) -> str:
    """The fixed-width form, `2026-11-20T10:00:00.000000Z`."""
    second, fraction = divmod(min(max(instant_us, _LEAST_US), _MOST_US), SECOND_US)
    return f"{_text_of_second(second)}.{fraction:06d}Z"


@lru_cache(maxsize=4096)
def _text_of_second(second: int) -> str:
    """Predictions ask for the same seconds again: now, and a window ago."""
    return (_NAIVE_EPOCH + timedelta(seconds=second)).isoformat()


def text_range(low_us: int, high_us: int) -> tuple[str, str]:
    """Bounds for BETWEEN that hold every text whose instant lies in [low, high] (I4)."""
    return text_of(low_us)[:19], after_text(high_us)


def after_text(instant_us: int) -> str:
    """A text that sorts after every text of this instant: the next second, without its end."""
    if instant_us >= _MOST_US - SECOND_US:
        return "9999-12-31T23:59:60"
    return text_of(instant_us + SECOND_US)[:19]


def number_range(low_us: int, high_us: int, unit: str) -> tuple[str, str]:
    """As text_range, for numbers in `unit`."""
    per_unit = int(_UNIT_US[unit])
    return str(low_us // per_unit), str(-((-high_us - 1) // per_unit))


def order_group(value: dict[str, Any]) -> str:
    """Rows that an index holds in order of time between groups, though not inside one (I4)."""
    text = value.get("S")
    return str(text)[:19] if text is not None else str(value.get("N"))
