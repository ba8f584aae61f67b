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

# (action, indexed table, connections, the bare server that is its limit, share of it to reach)
CASES = [
    ("GetItem", False, 1, "limit get", None),
    ("GetItem", False, 16, "limit get", 0.5),
    ("PutItem", False, 1, "limit put", None),
    ("PutItem", False, 16, "limit put", None),
    ("PutItem", False, 64, "limit put", 0.45),
    ("PutItem", True, 1, "limit put indexed", None),
    ("PutItem", True, 16, "limit put indexed", None),
    ("PutItem", True, 64, "limit put indexed", 0.6),
    ("UpdateItem", False, 1, None, None),
    ("UpdateItem", False, 16, None, None),
    ("Query", False, 1, None, None),
    ("Query", False, 16, None, None),
    ("BatchWriteItem", False, 1, None, None),
    ("BatchWriteItem", False, 16, None, None),
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
    grid = Grid(
        "request", "table", "conn.", "server", "per s", "p50 ms", "p99 ms", "CPU µs", "of limit", "goal"
    )
    peers = [name for name in ("dynoxide", "dynalite", "moto") if chosen.peers and name in commands(0, "")]
    for action, indexed, connections, limit, goal in CASES:
        if chosen.only and chosen.only != action:
            continue
        names = ["penstock", *([limit] if limit else []), *peers]
        console.print(f"[dim]{action}, {connections} connections …")
        figures = _in_turns(names, action, indexed, connections, chosen.rounds, chosen.seconds)
        bare = figures[limit].per_s if limit else None
        for name in names:
            measured = figures[name]
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
    console.print(grid)


def _in_turns(
    names: list[str], action: str, indexed: bool, connections: int, rounds: int, seconds: float
) -> dict[str, Figures]:
    """A B A B …: the machine's speed drifts, and then drifts for both."""
    seen: dict[str, list[Figures]] = {name: [] for name in names}
    with ExitStack() as stack:
        servers: list[Running] = []
        for name in names:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-"))
            server = stack.enter_context(running(name, folder))
            if not name.startswith("limit"):
                fill(server, "bench", ITEMS, indexed)
            servers.append(server)
        for _ in range(rounds):
            for server in servers:
                seen[server.name].append(measure(server, action, "bench", ITEMS, connections, seconds))
    return {name: _median(each) for name, each in seen.items()}


def _median(figures: list[Figures]) -> Figures:
    def of(name: str) -> float:
        return statistics.median(getattr(each, name) for each in figures)

    return Figures(
        of("per_s"), of("p50_ms"), of("p99_ms"), of("cpu_us"), sum(each.failed for each in figures)
    )


if __name__ == "__main__":
    main()
