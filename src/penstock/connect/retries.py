"""How often and after which pauses a request is sent again. Apart from http.py, because declarations need no HTTP parser."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retries:
    attempts_max: int = 10
    pause_s: float = 0.05
    pause_s_max: float = 20.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def rest(self, attempt: int) -> None:
        self.sleep(self.jitter() * min(self.pause_s * 2**attempt, self.pause_s_max))
