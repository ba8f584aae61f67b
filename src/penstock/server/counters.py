"""What the edge counts about itself: plain numbers that the metrics page reads whenever it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field

LAG_BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(slots=True)
class Counters:
    connections_opened: int = 0
    connections_refused: int = 0
    requests: int = 0
    client_errors: int = 0  # Answers 4xx.
    server_errors: int = 0  # Answers 5xx.
    malformed: int = 0  # What was not HTTP, or more than the bounds allow.
    timed_out: int = 0
    slow_slices: int = 0  # Turns of the loop that were late by more than 10 ms.
    lag_ms_max: float = 0.0
    lag_counts: list[int] = field(default_factory=lambda: [0] * (len(LAG_BUCKETS_MS) + 1))

    def saw_status(self, status: int) -> None:
        if status >= 500:
            self.server_errors += 1
        elif status >= 400:
            self.client_errors += 1

    def saw_lag(self, lag_ms: float) -> None:
        """`lag_counts[i]` counts those up to LAG_BUCKETS_MS[i] and above the one before; the last: more."""
        self.lag_ms_max = max(self.lag_ms_max, lag_ms)
        for place, bucket_ms in enumerate(LAG_BUCKETS_MS):
            if lag_ms <= bucket_ms:
                self.lag_counts[place] += 1
                return
        self.lag_counts[-1] += 1
