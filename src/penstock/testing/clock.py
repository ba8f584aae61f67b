"""Time that stands still until a test moves it. Implements `penstock.ports.Clock`.

    clock = ManualClock()
    client = penstock.connect("file:./data", clock=clock)
    clock.advance(3600)          # an hour later: iterators have expired, TTL sweeps find more

C1. Wall time and monotonic time move together under `advance`, never by themselves.
C2. `set_wall_us` moves wall time alone, also backwards, as an administrator or NTP does.
"""

from __future__ import annotations

START_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z: a fixed start makes every run the same.


class ManualClock:
    """A Clock that only a test moves."""

    def __init__(self, now_us: int = START_US) -> None:
        self._wall_us = now_us
        self._passed_us = 0

    def now_us(self) -> int:
        return self._wall_us

    def monotonic_s(self) -> float:
        return self._passed_us / 1_000_000

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        if seconds < 0:
            raise ValueError("time passes forwards; set_wall_us steps the wall clock back")
        passed_us = round(seconds * 1_000_000)
        self._wall_us += passed_us
        self._passed_us += passed_us

    def set_wall_us(self, now_us: int) -> None:
        """Steps the wall clock, without any time passing."""
        self._wall_us = now_us
