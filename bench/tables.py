"""The tables over HTTP: each figure beside the bare server's and the peers', in turns, as ratios."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from contextlib import ExitStack

from load import Figures, fill, measure
from rich.console import Console
from rich.table import Table as Grid
from servers import Running, commands, running

ITEMS = 10_000

# (action, indexed table, the bare server that is its limit, share of it to reach by number of connections)
CASES: list[tuple[str, bool, str | None, dict[int, float | None]]] = [
    ("GetItem", False, "limit get", {1: None, 16: 0.5}),
    ("PutItem", False, "limit put", {1: None, 16: None, 64: 0.45}),
    ("PutItem", True, "limit put indexed", {1: None, 16: None, 64: 0.6}),
    ("UpdateItem", False, None, {1: None, 16: None}),
    ("Query", False, None, {1: None, 16: None}),
    ("BatchWriteItem", False, None, {1: None, 16: None}),
]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--rounds", type=int, default=3, help="measurements of each, in turns; the median counts"
    )
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--peers", action="store_true", help="also measure the peers that are installed")
    options.add_argument("--only", help="one action")
    chosen = options.parse_args()
    console = Console(width=120)
    peers = [name for name in ("dynoxide", "dynalite", "moto") if chosen.peers and name in commands(0, "")]
    for action, indexed, limit, goals in CASES:
        if chosen.only and chosen.only != action:
            continue
        names = ["penstock", *([limit] if limit else []), *peers]
        figures = _in_turns(names, action, indexed, list(goals), chosen.rounds, chosen.seconds)
        console.print(_grid(action, indexed, limit, goals, figures))


def _grid(
    action: str,
    indexed: bool,
    limit: str | None,
    goals: dict[int, float | None],
    figures: dict[int, dict[str, Figures]],
) -> Grid:
    """One action's figures, printed as soon as they are there: the whole takes a quarter of an hour."""
    grid = Grid(
        "request", "table", "conn.", "server", "per s", "p50 ms", "p99 ms", "CPU µs", "of limit", "goal"
    )
    for connections, goal in goals.items():
        bare = figures[connections][limit].per_s if limit else None
        for name, measured in figures[connections].items():
            grid.add_row(
                action,
                "LSI+GSI+stream" if indexed else "plain",
                str(connections),
                name,
                f"{measured.per_s:,.0f}",
                f"{measured.p50_ms:.2f}",
                f"{measured.p99_ms:.2f}",
                f"{measured.cpu_us:.0f}",
                f"{measured.per_s / bare:.2f}" if bare and name == "penstock" else "",
                f"{goal}" if goal and name == "penstock" else "",
                style="red" if measured.failed else None,
            )
        grid.add_section()
    return grid


def _in_turns(
    names: list[str], action: str, indexed: bool, connections: list[int], rounds: int, seconds: float
) -> dict[int, dict[str, Figures]]:
    """By number of connections. A B A B …: the machine's speed drifts, and then drifts for both."""
    seen: dict[int, dict[str, list[Figures]]] = {each: {name: [] for name in names} for each in connections}
    with ExitStack() as stack:
        servers: list[Running] = []
        for name in names:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-"))
            server = stack.enter_context(running(name, folder))
            if not name.startswith("limit"):
                fill(server, "bench", ITEMS, indexed)
            servers.append(server)
        for each in connections:
            for _ in range(rounds):
                for server in servers:
                    seen[each][server.name].append(measure(server, action, "bench", ITEMS, each, seconds))
    return {each: {name: _median(runs) for name, runs in by.items()} for each, by in seen.items()}


def _median(figures: list[Figures]) -> Figures:
    def of(name: str) -> float:
        return float(statistics.median(getattr(each, name) for each in figures))

    return Figures(
        of("per_s"), of("p50_ms"), of("p99_ms"), of("cpu_us"), sum(each.failed for each in figures)
    )


if __name__ == "__main__":
    main()
