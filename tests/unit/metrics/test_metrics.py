"""Metrics: what is counted, and the page that Prometheus reads."""

from __future__ import annotations

import threading

import pytest

from penstock.errors import UsageError
from penstock.metrics.exposition import text
from penstock.metrics.registry import Registry


# Why: the page is a format that another program parses.
def test_the_page_has_help_type_and_escaped_labels() -> None:
    registry = Registry()
    counter = registry.counter("handled_total", "Records that\na handler took.", "consumer")
    counter.add(2, 'a"b\\c')
    counter.add(1.5, "plain")
    registry.gauge("empty", "Never set, so it is not shown.")
    assert text(registry) == (
        "# HELP handled_total Records that\\na handler took.\n"
        "# TYPE handled_total counter\n"
        'handled_total{consumer="a\\"b\\\\c"} 2\n'
        'handled_total{consumer="plain"} 1.5\n'
    )


# Why: buckets of the format are cumulative and end with +Inf.
def test_a_histogram_counts_each_number_in_every_bucket_that_holds_it() -> None:
    registry = Registry()
    seconds = registry.histogram("wait_seconds", "How long.", bounds=(0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        seconds.see(value)
    assert text(registry).splitlines()[2:] == [
        'wait_seconds_bucket{le="0.1"} 2',
        'wait_seconds_bucket{le="1"} 3',
        'wait_seconds_bucket{le="+Inf"} 4',
        "wait_seconds_sum 7.65",
        "wait_seconds_count 4",
    ]
    assert seconds.quantile(0.5) == 0.1
    assert seconds.quantile(0.99) == float("inf")


# Why: a gauge of something that is gone would show its last value for ever.
def test_a_gauge_can_be_forgotten_and_a_watched_number_is_read_when_the_page_is() -> None:
    registry = Registry()
    lag = registry.gauge("lag", "Behind.", "consumer")
    lag.set(3, "a")
    lag.forget("a")
    waiting = [1]
    registry.watch("waiting", "Now.", "queue", read=lambda: [(("q",), waiting[0])])
    waiting[0] = 9
    assert text(registry) == '# HELP waiting Now.\n# TYPE waiting gauge\nwaiting{queue="q"} 9\n'


# Why: two parts that share a name by mistake would mix their numbers.
def test_one_name_is_one_metric() -> None:
    registry = Registry()
    assert registry.counter("n", "x", "a") is registry.counter("n", "x", "a")
    with pytest.raises(UsageError):
        registry.gauge("n", "x", "a")
    with pytest.raises(UsageError):
        registry.counter("n", "x", "b")
    with pytest.raises(UsageError):
        registry.counter("m", "x").add(-1)


# Why: handlers count from many threads.
def test_no_count_is_lost_between_threads() -> None:
    counter = Registry().counter("n", "x")

    def count() -> None:
        for _ in range(2000):
            counter.add(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value() == 8000
