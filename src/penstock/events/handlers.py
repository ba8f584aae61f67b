"""Calling a handler with a batch, as Lambda does: a fresh event, a context, and an outcome whatever it does."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from typing import Any

import orjson

from penstock.app.handlers import Handler
from penstock.events.context import Context
from penstock.events.exactly_once import LaneCommit
from penstock.events.outcomes import Outcome, raised, returned
from penstock.events.records import Record, entry_of
from penstock.events.settings import Settings
from penstock.events.time_limits import InTime, TimedOut

log = logging.getLogger("penstock.events")


def takes_context(handler: Handler) -> bool:
    """Whether it is `handler(event, context)`; a function of the event alone is welcome too."""
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(None, None)
    except TypeError:
        return False
    return True


def call(handler: Handler, event: Any, context: Context) -> Any:
    return handler(event, context) if takes_context(handler) else handler(event)


def event_of(records: Sequence[Record]) -> dict[str, Any]:
    """The event, made anew: what a handler changes in it is gone at the next attempt, as on Lambda."""
    event: dict[str, Any] = orjson.loads(orjson.dumps({"Records": records}))
    return event


def call_with_batch(
    settings: Settings, records: Sequence[Record], context: Context, commit: LaneCommit, in_time: InTime
) -> Outcome:
    entries = [entry_of(record, 0.0) for record in records]
    event = event_of(records)
    try:
        answer = in_time(lambda: call(settings.handler, event, context), settings.timeout_s)
    except TimedOut as error:
        commit.abandon()
        log.warning("%s: %s", context.function_name, error)
        return raised(error, entries, commit.committed, commit.in_doubt)
    except (Exception, SystemExit) as error:
        # A handler is somebody else's code: whatever it raises is its answer.
        log.warning("%s failed: %s: %s", context.function_name, type(error).__name__, error)
        return raised(error, entries, commit.committed, commit.in_doubt)
    if commit.in_doubt:
        return raised(RuntimeError("a transaction's fate is unknown"), entries, commit.committed, True)
    return returned(answer, entries, settings.report_batch_item_failures, commit.committed)
