"""Consumers as Prometheus metrics: what each worker counts, and how far behind each consumer is.

    penstock_consumer_<total>_total{consumer, worker}         what a worker counted since it started
    penstock_consumer_pending_records{consumer, worker}       read and not handled yet, and the age of the oldest of them
    penstock_change_to_handler_seconds{consumer, worker}      from a change to the start of its handler
    penstock_consumer_lag_records{consumer}                   as `penstock consumers`: measured in the stream itself
    penstock_consumer_{lag_seconds,workers,dead_letters}{consumer}

Workers leave their reports in `penstock_consumers`, so one page tells of all of them, wherever they run: the application's
`GET /metrics` does. A worker's series ends with the worker; a sum over workers would go back when one leaves, and a rate over
that sum would count its records again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from penstock.connect.client import Client
from penstock.errors import PenstockError
from penstock.events.consumer_status import ConsumerStatus, Observed, observe
from penstock.events.follower import TOTALS
from penstock.metrics.registry import SECONDS, Labels, Registry

log = logging.getLogger("penstock.events")

# Measuring reads the streams: pages that are asked for more often share one look.
FRESH_S = 5.0


@dataclass(frozen=True)
class Report:
    """What a worker says of one of its consumers: see `Consumer.report`."""

    consumer: str
    worker: str
    told: dict[str, Any]

    @property
    def labels(self) -> Labels:
        return (self.consumer, self.worker)


def watch_reports(registry: Registry, reports: Callable[[], Iterable[Report]]) -> None:
    """Declare what workers count; `reports` is asked when the page is read."""
    for name, meaning in TOTALS.items():
        registry.watch(
            f"penstock_consumer_{name}_total",
            meaning,
            "consumer",
            "worker",
            kind="counter",
            # A worker of an older version may count less.
            read=lambda name=name: [(each.labels, float(each.told.get(name, 0))) for each in reports()],  # type: ignore[misc]
        )
    registry.watch(
        "penstock_consumer_pending_records",
        "Records that are read and not handled yet.",
        "consumer",
        "worker",
        read=lambda: [(each.labels, float(sum(_of_shards(each, "pending")))) for each in reports()],
    )
    registry.watch(
        "penstock_consumer_pending_seconds",
        "Age of the oldest record that is read and not handled yet.",
        "consumer",
        "worker",
        read=lambda: [(each.labels, max(_of_shards(each, "lag_s"), default=0.0)) for each in reports()],
    )
    registry.watch_histogram(
        "penstock_change_to_handler_seconds",
        "From a change to the start of its handler.",
        "consumer",
        "worker",
        read=lambda: [
            (each.labels, each.told["delays"], each.told["delay_sum_s"])
            for each in reports()
            if len(each.told.get("delays", ())) == len(SECONDS) + 1
        ],
    )


def _of_shards(report: Report, name: str) -> list[float]:
    return [shard[name] for shard in report.told["shards"].values()]


def watch_consumers(
    registry: Registry,
    client: Client,
    *,
    now_s: Callable[[], float] = time.time,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> None:
    """Declare all that is known of every consumer of the store, by its tables."""
    looking = _Looking(client, now_s, monotonic_s)
    watch_reports(registry, looking.reports)
    gauges: dict[str, tuple[str, Callable[[ConsumerStatus], float]]] = {
        "lag_records": (
            "Records of the stream that are not handled yet, up to 10,000 of each shard.",
            lambda status: status.lag_records,
        ),
        "lag_seconds": ("Age of the oldest of them.", lambda status: status.lag_s),
        "workers": ("Workers that live.", lambda status: status.workers),
        "dead_letters": ("Dead letters that wait to be looked at.", lambda status: status.dead_letters),
    }
    for name, (meaning, value) in gauges.items():
        registry.watch(
            f"penstock_consumer_{name}",
            meaning,
            "consumer",
            read=lambda value=value: looking.values(value),  # type: ignore[misc]
        )
    registry.watch(
        "penstock_consumers_known",
        "Whether the consumers could be looked at for this page: 1, or 0 where the store did not answer.",
        read=lambda: [((), float(looking.look() is not None))],
    )


class _Looking:
    """One look at the store for all metrics of a page."""

    def __init__(self, client: Client, now_s: Callable[[], float], monotonic_s: Callable[[], float]) -> None:
        self._client, self._now_s, self._monotonic_s = client, now_s, monotonic_s
        self._lock = threading.Lock()
        self._until_s = float("-inf")
        self._seen: list[Observed] | None = None

    def look(self) -> list[Observed] | None:
        with self._lock:
            if self._monotonic_s() >= self._until_s:
                try:
                    self._seen = observe(self._client, self._now_s())
                except PenstockError as error:
                    # The page has more to tell than this.
                    log.warning("the consumers cannot be looked at: %s", error)
                    self._seen = None
                self._until_s = self._monotonic_s() + FRESH_S
            return self._seen

    def reports(self) -> list[Report]:
        return [
            Report(each.status.name, worker, told)
            for each in self.look() or ()
            for worker, told in each.reports.items()
        ]

    def values(self, value: Callable[[ConsumerStatus], float]) -> list[tuple[Labels, float]]:
        return [((each.status.name,), float(value(each.status))) for each in self.look() or ()]
