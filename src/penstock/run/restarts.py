"""When a process that died is started again. Pure: the supervisor brings the time.

R1. The pause doubles with each death in a row, from 0.2 s up to 30 s.
R2. A process that stayed up for a minute has recovered: its next death counts as the first.
R3. A process that says itself that a restart will not help (exit code `HOPELESS`) is not started again.
"""

from __future__ import annotations

from dataclasses import dataclass

PAUSE_S = 0.2
PAUSE_S_MAX = 30.0
RECOVERED_S = 60.0
HOPELESS = 64  # EX_USAGE of sysexits.h.


@dataclass
class Restarts:
    """One process' deaths."""

    in_a_row: int = 0
    total: int = 0
    _started_s: float = 0.0

    def started(self, now_s: float) -> None:
        self._started_s = now_s

    def pause_s(self, now_s: float) -> float:
        """Count a death; how long to wait before the next start."""
        if now_s - self._started_s >= RECOVERED_S:
            self.in_a_row = 0
        pause_s: float = min(PAUSE_S * 2**self.in_a_row, PAUSE_S_MAX)
        self.in_a_row += 1
        self.total += 1
        return pause_s
