"""What the database cannot carry out, told in the log: at most a line a second, for a full disk refuses thousands of requests.

A line each would fill what is left of the disk, and stop the process where it writes to a pipe that nobody reads.
"""

from __future__ import annotations

import logging

from penstock.errors import Corruption, PenstockError
from penstock.ports import Clock

PAUSE_S = 1.0
log = logging.getLogger("penstock.database")


class FaultLog:
    """Damage is told apart from the rest, so that a disk that is full does not hide it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told_s: dict[bool, float] = {}
        self._untold = {False: 0, True: 0}

    def tell(self, error: PenstockError) -> None:
        damage, now_s = isinstance(error, Corruption), self._clock.monotonic_s()
        if now_s - self._told_s.get(damage, now_s - PAUSE_S) < PAUSE_S:
            self._untold[damage] += 1
            return
        others = (
            f" (and {self._untold[damage]:,} more since the last such line)" if self._untold[damage] else ""
        )
        words = "damage on disk" if damage else "the request could not be carried out"
        log.error("%s: %s%s", words, error, others)
        self._told_s[damage], self._untold[damage] = now_s, 0
