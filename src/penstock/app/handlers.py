"""Handlers as an application declares them: functions on a change stream and functions behind an HTTP route.

The settings are Lambda's stream settings, under Lambda's names in Python's spelling, so that what is declared here can be
deployed as an event source mapping unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from penstock.app.tables import Table

Handler: TypeAlias = Callable[..., Any]  # handler(event, context), or handler(event).


@dataclass(frozen=True)
class ChangeHandler:
    """One consumer of one table's stream. `name` is its identity: its positions are kept under it."""

    name: str
    table: Table
    handler: Handler
    batch_size: int = 100
    window_s: float = 0.0  # MaximumBatchingWindowInSeconds
    starting_position: str = "TRIM_HORIZON"  # or LATEST
    parallelization_factor: int = 1
    filter: tuple[Mapping[str, Any] | str, ...] = ()  # FilterCriteria: any pattern lets a record in.
    maximum_retry_attempts: int = -1
    maximum_record_age_s: int = -1
    bisect_batch_on_function_error: bool = False
    report_batch_item_failures: bool = False
    on_failure: Callable[[dict[str, Any]], None] | str | None = None  # Beside the dead-letter table.
    timeout_s: float = 900.0  # Timeout of the function; a call that takes longer has failed.


@dataclass(frozen=True)
class HttpHandler:
    """A Lambda handler in API Gateway's proxy shape behind `method path`."""

    method: str
    path: str
    handler: Handler
