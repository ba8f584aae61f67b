"""Numbers as people read them, and what an answer is drawn as."""

from __future__ import annotations

import pytest

from penstock.console.lake import chart_of
from penstock.console.rendering import amount


# Why: the monitor's axis began at `2.7e-05`; a power of ten is only for what would be a row of zeros.
@pytest.mark.parametrize(
    ("number", "said"),
    [
        (None, "–"), (0, "0"), (1234567, "1,234,567"), (0.5, "0.5"), (8217.981, "8,217.98"), (0.0042, "0.0042"),
        (0.000027, "0.000027"), (-0.00012345, "-0.00012"), (3e-9, "3e-09"),
    ],
)  # fmt: skip
def test_a_number_is_said_without_a_power_of_ten(number: float | None, said: str) -> None:
    assert amount(number) == said


# Why: a line between two categories claims that there is something between them.
def test_only_times_are_joined_by_a_line() -> None:
    assert chart_of([["2026-11-20T10:00:00", 3]]) == "line"
    assert chart_of([["2026-11", 3]]) == "line"
    assert chart_of([["jewelry", 3]]) == "bar"
    assert chart_of([[7, 3]]) == "bar"
    assert chart_of([]) == "bar"
