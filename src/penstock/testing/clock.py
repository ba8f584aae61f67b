"""A clock that stands still until it is told to go: `ports.Clock` for tests."""

from __future__ import annotations

START_US = 1_795_168_800_000_000  # 2026-11-20T10:00:00Z


class ManualClock:
    """Wall time and monotonic time move together, and only by `advance`."""

    def __init__(self, now_us: int = START_US) -> None:
        self._now_us = now_us
        self._monotonic_us = 0

    def now_us(self) -> int:
        return self._now_us

    def monotonic_s(self) -> float:
        return self._monotonic_us / 1_000_000

    def advance(self, seconds: float) -> None:
        self._now_us += round(seconds * 1_000_000)
        self._monotonic_us += round(seconds * 1_000_000)

    def step_back(self, seconds: float) -> None:
        """The wall clock is set back, as NTP may do; monotonic time goes on."""
        self._now_us -= round(seconds * 1_000_000)
