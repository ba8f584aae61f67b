"""`penstock consumers`: who follows which table, how far behind, with how many retries and dead letters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.application import Data, Endpoint, endpoint
from penstock.cli.output import duration, print_json, print_table
from penstock.connect.urls import connect
from penstock.events.consumer_status import ConsumerStatus, statuses


def run(
    url: Endpoint = None,
    data: Data = Path("data"),
    shards: Annotated[bool, typer.Option("--shards", help="A line for each shard as well.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Show each consumer of a change stream: how far behind it is, its retries and dead letters.

    Example: `penstock consumers --json | jq '.[].lag_records'`
    """
    with connect(endpoint(url, data)) as client:
        found = statuses(client, time.time())
    if json:
        print_json([status.plain() for status in found])
    elif not found:
        print("no consumer has run here yet")
    else:
        columns = (
            "consumer",
            "table",
            "workers",
            "behind",
            "lag",
            "handled",
            "retries",
            "dead letters",
            "trouble",
        )
        print_table(columns, [row for status in found for row in _rows(status, shards)])


def _rows(status: ConsumerStatus, shards: bool) -> Iterator[tuple[str, ...]]:
    yield (
        status.name,
        status.table,
        str(status.workers),
        _counted(status.lag_records, status.at_least),
        duration(status.lag_s),
        f"{status.handled:,}",
        f"{status.retries:,}",
        f"{status.dead_letters:,}",
        status.trouble,
    )
    for shard in status.shards if shards else ():
        owner = "ended" if shard.ended else shard.owner or "nobody"
        behind = _counted(shard.lag_records, shard.at_least)
        yield f"  …{shard.shard[-21:]}", owner, "", behind, duration(shard.lag_s), "", "", "", ""


def _counted(count: int, at_least: bool) -> str:
    return f"{count:,}{'+' if at_least else ''}"
