"""`penstock status`: the processes of a data directory, where they listen, and how far their tasks are."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import msgspec
import orjson
import typer

from penstock.cli.output import duration, print_json, print_table
from penstock.run.state import Picture, read_picture, running_pid

NOT_RUNNING = 1
_ANSWER_S = 2.0


def run(
    data: Annotated[Path, typer.Option(help="The data directory of the application.")] = Path("data"),
    json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Show what runs on a data directory. Exit code 1 where nothing does, or where a process is not well.

    Example: `penstock status --json | jq .processes`
    """
    pid = running_pid(data)
    picture = read_picture(data) if pid is not None else None
    well = picture is not None and all(each.state == "ready" for each in picture.processes)
    flows = _lake_flows(picture) if picture is not None else []
    if json:
        told = msgspec.to_builtins(picture) if picture is not None else {"data": str(data), "processes": []}
        print_json({"running": pid is not None, "well": well, **told, "lake": flows})
    elif picture is None:
        print(
            f"nothing runs on {data}/; start it with `penstock up`" if pid is None else f"{data}/ is starting"
        )
    else:
        _show(picture, flows)
    if not well:
        raise typer.Exit(NOT_RUNNING)


def _lake_flows(picture: Picture) -> list[dict[str, Any]]:
    """How far each table is in the lake; none where the lake does not answer, which its process' state says better."""
    for process in picture.processes:
        url = process.addresses.get("lake")
        if url is not None and process.state == "ready":
            try:
                with urllib.request.urlopen(f"{url}/status", timeout=_ANSWER_S) as answer:
                    flows: list[dict[str, Any]] = orjson.loads(answer.read())["tables"]
                    return flows
            except (OSError, orjson.JSONDecodeError):
                return []
    return []


def _show(picture: Picture, flows: list[dict[str, Any]]) -> None:
    now_s = time.time()
    print(
        f"{picture.app} ({picture.app_file}), up for {duration(now_s - picture.started_s)}, data {picture.data}\n"
    )
    print_table(
        ("process", "state", "for", "pid", "restarts", "addresses"),
        [
            (
                each.name,
                f"{each.state} {each.detail}".strip(),
                duration(now_s - each.since_s),
                str(each.pid or "-"),
                str(each.restarts),
                " ".join(each.addresses.values()),
            )
            for each in picture.processes
        ],
    )
    if picture.tasks:
        print()
        print_table(
            ("task", "done", "of"),
            [(each.name, f"{each.done:,}", f"{each.total:,} {each.unit}") for each in picture.tasks],
        )
    if flows:
        print()
        print_table(
            ("lake", "state", "behind"),
            [
                (
                    each["table"],
                    each["state"],
                    "-" if each["behind_s"] is None else f"{each['behind_s']:.1f} s",
                )
                for each in flows
            ],
        )
