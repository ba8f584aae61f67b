"""How long to wait before the next attempt: exponential back-off with full jitter.

    pause(n) = random in [0, min(longest, shortest * 2**n)]

Full jitter spreads the retries of many lanes best for the least total work; randomness is passed in, so a seed replays it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Randomness(Protocol):
    """`random.Random`, as far as it is needed."""

    def random(self) -> float: ...


@dataclass(frozen=True)
class Backoff:
    """`pause_s(0)` is the pause after the first failure."""

    shortest_s: float = 0.1
    longest_s: float = 60.0

    def pause_s(self, failures: int, chance: Randomness) -> float:
        # 2**60 seconds is longer than any bound; the cap keeps the power small.
        return chance.random() * min(self.longest_s, self.shortest_s * 2.0 ** min(failures, 60))


HANDLER = Backoff()
# Of reads and of the consumer's own writes: the store is back within seconds or not for long.
STORE = Backoff(shortest_s=0.05, longest_s=5.0)
