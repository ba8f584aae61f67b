"""`penstock lake`: what is in the lake, how fresh it is, and its upkeep."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.output import print_table
from penstock.errors import Corruption, UsageError
from penstock.lake.address import ADDRESS
from penstock.lake.crawl import crawl as crawl_folder
from penstock.lake.healing import begin_anew, heal
from penstock.lake.iceberg.warehouse import Warehouse, open_warehouse
from penstock.lake.progress import POSITION, begins_us, decode, missed
from penstock.lake.stopped import StoppedTable
from penstock.lake.upkeep import compact_now, expire_now
from penstock.lake.writer_lock import WriterLock
from penstock.sql.lake import open_lake

app = typer.Typer(help="What is in the lake, how fresh it is, and its upkeep.", no_args_is_help=True)
Where = Annotated[str, typer.Option("--lake", envvar="PENSTOCK_LAKE", help="The lake's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs.")]
Name = Annotated[str, typer.Argument(help="The table's name, without raw or current.")]
DEFAULT = "file:./data/lake"


@app.command()
def status(lake: Where = DEFAULT, as_json: AsJson = False) -> None:
    """How far each table has come, and whether its sink runs.

    Example: `penstock lake status`
    """
    warehouse = open_warehouse(lake, make=False)
    running = _ask_process(warehouse, "GET", "/status")
    flows = {flow["table"]: flow for flow in running["tables"]} if running else {}
    rows = []
    for name in _followed(warehouse):
        try:
            told = _progress(warehouse, name)
        except Corruption as error:
            told = {"table": name, "state": "damaged", "message": str(error)}
        flow = flows.get(name, {})
        rows.append(
            {
                "table": name,
                "state": flow.get("state", "not running"),
                "message": flow.get("message", ""),
                "behind_s": flow.get("behind_s"),
                **told,
            }
        )
    _show(rows, as_json)


def _progress(warehouse: Warehouse, name: str) -> dict[str, object]:
    raw, current = warehouse.find("raw", name), warehouse.find("current", name)
    position = decode(raw.properties.get(POSITION) if raw is not None else None)
    landed = decode(current.properties.get(POSITION)).offset if current is not None else 0
    return {
        "table": name,
        "changes": position.offset,
        "current_behind": position.offset - landed,
        "last_change": _moment(position.last_us),
        "history_from": _moment(begins_us(position)),
        "gaps": len(missed(position)),
        "shards": len(position.shards),
    }


@app.command()
def tables(lake: Where = DEFAULT, as_json: AsJson = False) -> None:
    """Every table: rows, files, delete files, size, snapshots.

    Example: `penstock lake tables --json`
    """
    warehouse = open_warehouse(lake, make=False)
    rows: list[dict[str, Any]] = []
    for namespace, name in warehouse.names():
        try:
            table = warehouse.find(namespace, name)
        except Corruption as error:
            rows.append({"table": f"{namespace}.{name}", "trouble": str(error)})
            continue
        if table is not None:
            size = table.size()
            rows.append(
                {
                    "table": f"{namespace}.{name}", "rows": size.rows, "files": size.files,
                    "delete_files": size.delete_files, "bytes": size.bytes, "snapshots": len(table.snapshot_ids()),
                }
            )  # fmt: skip
    _show(rows, as_json)


@app.command()
def snapshots(
    table: Annotated[str, typer.Argument(help="With its namespace: current.purchases.")],
    lake: Where = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """The versions that can be asked for with FOR VERSION AS OF.

    Example: `penstock lake snapshots current.orders`
    """
    warehouse = open_warehouse(lake, make=False)
    # In any case, as SQL takes them.
    named = [pair for pair in warehouse.names() if ".".join(pair).lower() == table.lower()]
    found = warehouse.find(*named[0]) if named else None
    if found is None:
        raise UsageError(f"there is no table {table}; see penstock lake tables")
    _show([vars(version) for version in found.versions()], as_json)


@app.command()
def quarantine(
    table: Name,
    lake: Where = DEFAULT,
    rows: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Changes that did not land in current, with the reason.

    Example: `penstock lake quarantine Orders`
    """
    opened = open_lake(lake, make=False)
    if opened.warehouse.find("quarantine", table) is None:
        _show([], as_json)
        return
    quoted = table.replace('"', '""')
    found = opened.sql(f'SELECT * FROM quarantine."{quoted}" ORDER BY ordinal DESC LIMIT {rows}').rows()
    _show(found, as_json)


@app.command()
def compact(table: Name, lake: Where = DEFAULT, as_json: AsJson = False) -> None:
    """Merge small files and apply deletes now.

    Example: `penstock lake compact Orders`
    """
    _upkeep(lake, table, "compact", compact_now, as_json)


@app.command()
def expire(table: Name, lake: Where = DEFAULT, as_json: AsJson = False) -> None:
    """Forget all but the latest version, and delete the files that nothing needs. Raw keeps every change.

    Example: `penstock lake expire Orders`
    """
    _upkeep(lake, table, "expire", expire_now, as_json)


@app.command()
def rebuild(
    table: Name,
    lake: Where = DEFAULT,
    anew: Annotated[
        bool, typer.Option("--anew", help="Forget raw too, its history with it, and scan the table again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make current again from raw, and heal what is damaged.

    Example: `penstock lake rebuild Orders`
    """
    if not anew:
        _upkeep(lake, table, "rebuild", lambda stopped: [stopped.rebuild()], as_json, first=heal)
        return
    warehouse = open_warehouse(lake, make=False)
    answer = _ask_process(warehouse, "POST", f"/lake/{table}/anew")
    if answer is None:
        with WriterLock(warehouse.folder):
            answer = {"done": begin_anew(warehouse, table)}
    _say(answer["done"], as_json)


@app.command()
def crawl(
    folder: Annotated[Path, typer.Argument(help="Where the files are.")],
    lake: Where = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Bring CSV, JSON and Parquet files into tables, and say what could not be read.

    Example: `penstock lake crawl ./exports`
    """
    found, unknown = crawl_folder(open_warehouse(lake), folder)
    rows: list[dict[str, Any]] = [
        {
            "table": each.table, "landed": len(each.landed), "unchanged": each.unchanged, "rows": each.rows,
            "columns": ", ".join(f"{name} {type_}" for name, type_ in each.columns.items()),
            "unreadable": each.unreadable,
        }
        for each in found
    ]  # fmt: skip
    _show(rows, as_json)
    if not as_json:
        for name in unknown:
            print(f"{name}: neither CSV nor JSON nor Parquet")


# -- How it is done --


def _upkeep(
    lake: str,
    table: str,
    verb: str,
    alone: Callable[[StoppedTable], list[str]],
    as_json: bool,
    first: Callable[[Warehouse, str], list[str]] = lambda warehouse, table: [],
) -> None:
    """On the writer where it runs; alone, under the folder's lock, where it does not."""
    warehouse = open_warehouse(lake, make=False)
    answer = _ask_process(warehouse, "POST", f"/lake/{table}/{verb}")
    if answer is not None:
        done: list[str] = answer["done"]
    else:
        with WriterLock(warehouse.folder):
            done = first(warehouse, table)
        with StoppedTable(warehouse, table) as stopped:
            done += alone(stopped)
    _say(done, as_json)


def _say(done: list[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"done": done}))
    else:
        print("\n".join(done) or "nothing to do")


def _ask_process(warehouse: Warehouse, method: str, path: str) -> dict[str, Any] | None:
    """The process that writes this folder, or None where none does."""
    if warehouse.folder is None:
        return None
    try:
        url = (warehouse.folder / ADDRESS).read_text().strip()
        request = urllib.request.Request(url + path, method=method)
        with urllib.request.urlopen(request, timeout=600) as answer:
            told: dict[str, Any] = json.load(answer)
            return told
    except urllib.error.HTTPError as error:
        raise UsageError(json.load(error).get("error", str(error))) from error
    except (FileNotFoundError, urllib.error.URLError):
        return None


def _followed(warehouse: Warehouse) -> list[str]:
    return [name for namespace, name in warehouse.names() if namespace == "raw"]


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, UTC).isoformat(timespec="milliseconds") if us else ""


def _show(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, default=str))
        return
    if not rows:
        print("nothing")
        return
    names = dict.fromkeys(name for row in rows for name in row)
    told = [name for name in names if any(row.get(name) not in (None, "") for row in rows)]
    print_table(
        [name.replace("_", " ") for name in told],
        [[_cell(name, row.get(name)) for name in told] for row in rows],
    )


def _cell(name: str, value: object) -> str:
    if name in ("last_change", "history_from"):
        return str(value)[:19]  # Seconds, in UTC: the rest would cost other columns their words.
    return "" if value is None else str(value).replace("[", "\\[")
