"""The loop's pulse: background work in short slices between requests, and how late the loop runs.

Both show the same thing. A slice that takes long makes every request behind it wait, and the heartbeat sees
that as lag. A turn later than `SLOW_MS` is counted and logged, at most once a second, with the slice's own
part in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from penstock.errors import PenstockError
from penstock.server.counters import Counters

BEAT_S = 0.05
SLOW_MS = 10.0
_REST_S_MIN = 0.0005  # Between two slices, so that requests come in between.

_log = logging.getLogger(__name__)


class Pulse:
    """`tick` runs one slice of background work and returns the seconds until it wants to be called again. What it raises
    is told to `failed`, and it is not called again."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        counters: Counters,
        tick: Callable[[], float],
        failed: Callable[[PenstockError], None],
    ) -> None:
        self._loop = loop
        self._counters = counters
        self._tick = tick
        self._failed = failed
        self._slice_ms_max = 0.0
        self._logged_s = 0.0
        self._due_s = monotonic() + BEAT_S
        self._handles = {
            "beat": loop.call_later(BEAT_S, self._beat),
            "slice": loop.call_later(0, self._slice),
        }

    def stop(self) -> None:
        for handle in self._handles.values():
            handle.cancel()

    def _slice(self) -> None:
        started_s = monotonic()
        try:
            rest_s = self._tick()
        except PenstockError as error:
            self._failed(error)
            return
        self._slice_ms_max = max(self._slice_ms_max, (monotonic() - started_s) * 1000)
        self._handles["slice"] = self._loop.call_later(max(rest_s, _REST_S_MIN), self._slice)

    def _beat(self) -> None:
        now_s = monotonic()
        lag_ms = max(0.0, (now_s - self._due_s) * 1000)
        self._counters.saw_lag(lag_ms)
        if lag_ms > SLOW_MS:
            self._counters.slow_slices += 1
            if now_s - self._logged_s >= 1:
                self._logged_s = now_s
                _log.warning(
                    "the loop was %.0f ms late; background slices took up to %.1f ms",
                    lag_ms,
                    self._slice_ms_max,
                )
        self._slice_ms_max = 0.0
        self._due_s = now_s + BEAT_S
        self._handles["beat"] = self._loop.call_later(BEAT_S, self._beat)
