"""What a consumer is told to do: Lambda's settings of a stream's event source mapping, checked against Lambda's bounds.

Bounds and defaults are those of CreateEventSourceMapping for DynamoDB streams, so that a handler that runs here can be
deployed there. The names are Lambda's; where Lambda counts seconds, ours end in `_s`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.app.handlers import ChangeHandler, Handler
from penstock.errors import UsageError
from penstock.events.filters import Accept, compile_patterns

STARTS = ("TRIM_HORIZON", "LATEST")
FOREVER = -1
# Records that nobody limits the age of are given up after this long: they leave AWS's stream then (24 hours).
RETENTION_S = 24 * 3600
PAYLOAD_BYTES_MAX = 6 * 1024 * 1024  # Lambda's bound on a synchronous invocation's event.

_BOUNDS: dict[str, tuple[float, float]] = {
    "batch_size": (1, 10_000),
    "window_s": (0, 300),
    "parallelization_factor": (1, 10),
    "timeout_s": (1, 900),
}


@dataclass(frozen=True)
class Settings:
    """One consumer, by its name."""

    name: str
    table: str
    handler: Handler
    batch_size: int = 100
    window_s: float = 0.0
    starting_position: str = "TRIM_HORIZON"
    parallelization_factor: int = 1
    accept: Accept | None = None
    maximum_retry_attempts: int = FOREVER
    maximum_record_age_s: int = FOREVER
    bisect_batch_on_function_error: bool = False
    report_batch_item_failures: bool = False
    on_failure: Callable[[dict[str, Any]], None] | str | None = None
    timeout_s: float = 900.0

    @property
    def age_s_max(self) -> float:
        return float(RETENTION_S if self.maximum_record_age_s == FOREVER else self.maximum_record_age_s)


def settings_of(declared: ChangeHandler) -> Settings:
    """The settings of a handler as an application declares it, or UsageError about the first that Lambda refuses."""
    for name, (low, high) in _BOUNDS.items():
        value = getattr(declared, name)
        if not low <= value <= high:
            raise UsageError(f"{declared.name}: {name} is {low:g} to {high:g}, not {value:g}")
    if declared.starting_position not in STARTS:
        raise UsageError(f"{declared.name}: starting_position is {' or '.join(STARTS)}")
    if not -1 <= declared.maximum_retry_attempts <= 10_000:
        raise UsageError(f"{declared.name}: maximum_retry_attempts is -1 (no limit) or 0 to 10000")
    age_s = declared.maximum_record_age_s
    if age_s != FOREVER and not 60 <= age_s <= 604_800:
        raise UsageError(f"{declared.name}: maximum_record_age_s is -1 (no limit) or 60 to 604800")
    return Settings(
        name=declared.name,
        table=declared.table.name,
        handler=declared.handler,
        batch_size=declared.batch_size,
        window_s=declared.window_s,
        starting_position=declared.starting_position,
        parallelization_factor=declared.parallelization_factor,
        accept=compile_patterns(declared.filter),
        maximum_retry_attempts=declared.maximum_retry_attempts,
        maximum_record_age_s=age_s,
        bisect_batch_on_function_error=declared.bisect_batch_on_function_error,
        report_batch_item_failures=declared.report_batch_item_failures,
        on_failure=declared.on_failure,
        timeout_s=declared.timeout_s,
    )
