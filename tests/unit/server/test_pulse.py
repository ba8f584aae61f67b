"""The pulse runs background slices between requests and sees when the loop is late."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

import pytest

from penstock.errors import PenstockError
from penstock.server.counters import LAG_BUCKETS_MS, Counters
from penstock.server.pulse import Pulse


def never(error: PenstockError) -> None:
    raise AssertionError(error)


# Why: `tick` says when it wants to be called again; asked for at once, others still get their turn in between.
def test_slices_run_when_they_ask_to_and_leave_room_between() -> None:
    ticks: list[float] = []
    turns: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def tick() -> float:
            ticks.append(monotonic())
            loop.call_soon(turns.append, monotonic())
            if len(ticks) == 5:
                done.set()
            return 0.0

        pulse = Pulse(loop, Counters(), tick, never)
        await asyncio.wait_for(done.wait(), 10)
        pulse.stop()
        await asyncio.sleep(0)

    asyncio.run(run())
    assert len(ticks) == 5
    assert len(turns) == 5


# Why: STYLE and DESIGN ask for it: a slice above 10 ms is counted and logged.
def test_a_slow_slice_is_seen_as_lag_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        logged = asyncio.Event()

        def tick() -> float:
            until = monotonic() + 0.12
            while monotonic() < until and not counters.slow_slices:
                pass  # A slice that forgets the time.
            if counters.slow_slices:
                logged.set()
            return 0.0

        pulse = Pulse(loop, counters, tick, never)
        await asyncio.wait_for(logged.wait(), 10)
        pulse.stop()

    with caplog.at_level(logging.WARNING, "penstock.server.pulse"):
        asyncio.run(run())
    assert counters.slow_slices >= 1
    assert counters.lag_ms_max > 10
    assert "ms late" in caplog.text


# Why: the metrics page makes a histogram of these; a lag on the border belongs to the lower bucket.
def test_lags_are_counted_in_their_buckets() -> None:
    counters = Counters()
    for lag_ms in (0.5, 1.0, 1.5, 5000.0):
        counters.saw_lag(lag_ms)
    assert counters.lag_counts[:2] == [2, 1]
    assert counters.lag_counts[len(LAG_BUCKETS_MS)] == 1
    assert counters.lag_ms_max == 5000.0
