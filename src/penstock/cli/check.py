"""`penstock check`: read every byte of a data directory, compare it with what follows from it, and say what is wrong.

A directory that nobody serves is opened read-only. Of one that is served, the owner makes a checkpoint (hard links, a
few milliseconds), and that is checked while requests go on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.status import Status

from penstock.cli.output import print_json
from penstock.connect.http import Address, HttpTransport
from penstock.connect.ownership import Claim, open_socket
from penstock.database.check import Report, check
from penstock.errors import Corruption, UsageError
from penstock.store.check import check_store
from penstock.store.rocks import open_store
from penstock.wire.codec import decode_error

_CACHE_BYTES = 1 << 20  # What a cache holds is not read from the disk again.
_SHOWN_MAX = 50

Tell = Callable[[str], None]


@dataclass
class Verdict:
    """What was read, and everything that is wrong."""

    place: Path
    pairs: int = 0
    size: int = 0
    report: Report = field(default_factory=Report)
    damage: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        return [*self.damage, *self.report.findings]


def run(
    data: Annotated[Path, typer.Argument(help="The data directory.")] = Path("data"),
    json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False,
) -> None:
    """Verify every record, index entry and counter of a data directory, served or not.

    Example: `penstock check --data /srv/shop`
    """
    # What moves goes to standard error, so that standard output is the answer alone.
    console = Console(highlight=False)
    with Console(stderr=True).status(f"opening {data}") as status:
        verdict = check_folder(data, status_teller(status))
    if json:
        print_json(as_json(verdict))
    else:
        show(verdict, console)
    if verdict.findings:
        raise typer.Exit(1)


def status_teller(status: Status) -> Tell:
    return lambda text: status.update(text)


def check_folder(folder: Path, tell: Tell = lambda text: None) -> Verdict:
    """Check a directory, or a checkpoint of it where it is served. A checkpoint that is sound is removed again."""
    if not (folder / "FORMAT").exists() and not (folder / "rocks").exists():
        raise UsageError(f"{folder} holds no Penstock data")
    with _place_to_read(folder) as place:
        try:
            verdict = check_files(place, tell)
        except Corruption as damage:
            verdict = Verdict(place, damage=[str(damage)])
        if place != folder and not verdict.findings:
            shutil.rmtree(place)
    return verdict


@contextmanager
def _place_to_read(folder: Path) -> Iterator[Path]:
    claim = Claim.try_for(folder)
    if claim is None:
        yield ask_for_checkpoint(folder)
        return
    try:
        yield folder
    finally:
        claim.release()


def ask_for_checkpoint(folder: Path) -> Path:
    """From the process that owns the directory, on the directory's socket."""
    transport = HttpTransport(Address("localhost", "/", lambda limit_s: open_socket(folder, limit_s)))
    try:
        status, answer = transport.send("Penstock.Checkpoint", b"{}", 0)
    finally:
        transport.close()
    if status != 200:
        raise decode_error(status, answer)
    return Path(orjson.loads(answer)["Path"])


def check_files(place: Path, tell: Tell = lambda text: None) -> Verdict:
    """Every block of every family first: damage there explains whatever else is found."""
    store = open_store(place, cache_bytes=_CACHE_BYTES, read_only=True)
    try:
        verdict = Verdict(place)
        tell("reading every block, forwards and backwards")
        for found in check_store(store).values():
            verdict.pairs += found.pairs
            verdict.size += found.size
            verdict.damage += found.damage
        if not verdict.damage:
            verdict.report = check(store, lambda report: tell(_progress(report)))
    finally:
        store.close()
    return verdict


def _progress(report: Report) -> str:
    return (
        f"comparing · table {report.tables} · {report.items:,} items · {report.entries:,} index entries · "
        f"{report.changes:,} changes"
    )


def as_json(verdict: Verdict) -> dict[str, object]:
    report = verdict.report
    return {
        "place": str(verdict.place),
        "sound": not verdict.findings,
        "pairs": verdict.pairs,
        "bytes": verdict.size,
        "tables": report.tables,
        "items": report.items,
        "entries": report.entries,
        "changes": report.changes,
        "findings": verdict.findings,
        "left_out": report.left_out,
    }


def show(verdict: Verdict, console: Console) -> None:
    report, findings = verdict.report, verdict.findings
    console.print(
        f"{verdict.place}: {verdict.pairs:,} pairs in {verdict.size:,} bytes · {report.tables:,} tables · "
        f"{report.items:,} items · {report.entries:,} index entries · {report.changes:,} changes"
    )
    if not findings:
        console.print("[green]sound[/]: each agrees with what follows from it")
        return
    for finding in findings[:_SHOWN_MAX]:
        console.print(f"[red]wrong[/] {finding}", soft_wrap=True)
    more = len(findings) - _SHOWN_MAX + report.left_out
    if more > 0:
        console.print(f"[red]and {more:,} more[/]")
