"""ManualClock moves when told to, and not otherwise."""

from __future__ import annotations

import pytest

from penstock.ports import Clock
from penstock.testing import ManualClock


# C1, and that it is the port that the database asks for.
def test_it_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(5_000_000)
    port: Clock = clock
    assert (port.now_us(), port.monotonic_s()) == (port.now_us(), port.monotonic_s()) == (5_000_000, 0.0)
    clock.advance(1.5)
    assert (port.now_us(), port.monotonic_s()) == (6_500_000, 1.5)
    with pytest.raises(ValueError, match="forwards"):
        clock.advance(-1)


# C2: sequence numbers must rise even so.
def test_the_wall_clock_can_be_stepped_back_without_time_passing() -> None:
    clock = ManualClock(5_000_000)
    clock.advance(1)
    clock.set_wall_us(2_000_000)
    assert (clock.now_us(), clock.monotonic_s()) == (2_000_000, 1.0)
