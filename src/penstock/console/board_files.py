"""Boards as files: `boards/NAME.toml`, which an editor or the page writes, and a repository keeps.

    title = "Sales"
    about = "What was bought, when and by whom."
    refresh = "10s"                 # optional: how often an open page asks again
    range = "30d"                   # the time range that the page opens with: 1h 24h 7d 30d 90d all

    [[filters]]
    name = "category"               # $category in the queries; null where all are meant
    sql = "SELECT DISTINCT category FROM current.Purchases ORDER BY 1"

    [[charts]]
    title = "Volume by day"
    kind = "area"                   # number line area bar table
    width = 8                       # of 12 columns
    unit = "$"                      # $, %, or a word behind the numbers
    sql = '''…'''                   # may use $since, $until and each filter's name
    x = "day"                       # else the first column
    y = ["volume"]                  # else every column of numbers
    series = "category"             # a column whose values become lines of their own
    stacked = true
    flat = true                     # bars that lie

B1. `board_of(text)` says of a wrong file which part is wrong, and of a right one everything that the page needs.
B2. A file is replaced whole or not at all, and only if it still is what the writer saw.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.errors import UsageError
from penstock.sql.names import literal

KINDS = ("number", "line", "area", "bar", "table")
RANGES = {"1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400, "90d": 90 * 86_400, "all": None}
CHARTS_MAX = 40
TEXT_BYTES_MAX = 200_000
REFRESH_S_MIN = 2

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_REFRESH = re.compile(r"(\d+)([sm])")
_BOARD = {"title": str, "about": str, "refresh": str, "range": str, "filters": list, "charts": list}
_FILTER = {"name": str, "label": str, "sql": str}
_CHART = {
    "title": str, "about": str, "kind": str, "sql": str, "width": int, "x": str, "y": list, "series": str,
    "unit": str, "stacked": bool, "flat": bool,
}  # fmt: skip
# Strings, quoted names and comments are left alone; a $word outside of them is a value.
_TOKENS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$([a-z_][a-z0-9_]*)", re.DOTALL)


@dataclass(frozen=True)
class BoardFilter:
    name: str
    label: str
    sql: str


@dataclass(frozen=True)
class Chart:
    title: str
    kind: str
    sql: str
    about: str = ""
    width: int = 6
    x: str | None = None
    y: tuple[str, ...] = ()
    series: str | None = None
    unit: str = ""
    stacked: bool = False
    flat: bool = False

    def shape(self) -> dict[str, Any]:
        """What the page draws with; the query stays here."""
        return {name: getattr(self, name) for name in ("kind", "x", "y", "series", "unit", "stacked", "flat")}


@dataclass(frozen=True)
class Board:
    title: str
    charts: tuple[Chart, ...]
    about: str = ""
    refresh_s: int | None = None
    range: str = "30d"
    filters: tuple[BoardFilter, ...] = ()


def board_of(text: str) -> Board:
    """B1."""
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise UsageError(f"a board is at most {TEXT_BYTES_MAX} bytes of text")
    try:
        held = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"this is not TOML: {error}") from error
    _check("the board", held, _BOARD, ("title", "charts"))
    if held.get("range", "30d") not in RANGES:
        raise UsageError(f"range is one of {', '.join(RANGES)}")
    if not 1 <= len(held["charts"]) <= CHARTS_MAX:
        raise UsageError(f"a board has 1 to {CHARTS_MAX} charts")
    filters = tuple(_filter(each, place) for place, each in enumerate(held.get("filters", ()), 1))
    charts = tuple(_chart(each, place, filters) for place, each in enumerate(held["charts"], 1))
    return Board(
        held["title"], charts, held.get("about", ""), _refresh(held.get("refresh")), held.get("range", "30d"), filters
    )  # fmt: skip


_KINDS: Mapping[type, str] = {str: "text", int: "a whole number", bool: "true or false", list: "a list"}


def _check(what: str, held: Any, known: Mapping[str, type], needed: tuple[str, ...]) -> None:
    if not isinstance(held, dict):
        raise UsageError(f"{what} is a table of settings")
    for name, value in held.items():
        if name not in known:
            raise UsageError(f"{what} has no setting {name!r}; there are {', '.join(known)}")
        if not isinstance(value, known[name]) or (known[name] is int and isinstance(value, bool)):
            raise UsageError(f"{what}: {name} is not {_KINDS[known[name]]}")
    for name in needed:
        if not held.get(name):
            raise UsageError(f"{what} needs {name}")


def _filter(held: Any, place: int) -> BoardFilter:
    what = f"filter {place}"
    _check(what, held, _FILTER, ("name", "sql"))
    if not _WORD.fullmatch(held["name"]) or held["name"] in ("since", "until"):
        raise UsageError(f"{what}: a name is small letters, digits and _, and not since or until")
    return BoardFilter(held["name"], held.get("label", held["name"]), held["sql"])


def _chart(held: Any, place: int, filters: tuple[BoardFilter, ...]) -> Chart:
    what = f"chart {place}"
    _check(what, held, _CHART, ("title", "kind", "sql"))
    if held["kind"] not in KINDS:
        raise UsageError(f"{what}: kind is one of {', '.join(KINDS)}")
    if not 1 <= held.get("width", 6) <= 12:
        raise UsageError(f"{what}: width is 1 to 12")
    if not all(isinstance(name, str) for name in held.get("y", ())):
        raise UsageError(f"{what}: y is a list of column names")
    fill(held["sql"], dict.fromkeys(["since", "until", *(each.name for each in filters)]), what)
    return Chart(**{**held, "y": tuple(held.get("y", ()))})


def _refresh(text: str | None) -> int | None:
    if text is None:
        return None
    match = _REFRESH.fullmatch(text)
    seconds = int(match[1]) * (60 if match[2] == "m" else 1) if match else 0
    if seconds < REFRESH_S_MIN:
        raise UsageError(f"refresh is a time such as 10s or 1m, and at least {REFRESH_S_MIN}s")
    return seconds


def fill(sql: str, values: Mapping[str, str | None], what: str = "the query") -> str:
    """The query with each $name as a literal. Values are text of other people: they never become SQL."""

    def put(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0]
        if name not in values:
            raise UsageError(
                f"{what}: there is no ${name}; there are {', '.join('$' + each for each in values)}"
            )
        value = values[name]
        return "NULL" if value is None else literal(value)

    return _TOKENS.sub(put, sql)


class BoardFiles:
    """The boards of one folder. Called from threads: it reads and writes files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        found = (path.stem for path in self.folder.glob("*.toml")) if self.folder.is_dir() else ()
        return sorted(name for name in found if _NAME.fullmatch(name))

    def text(self, name: str) -> str:
        try:
            return self._path(name).read_text()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(f"there is no board {name!r}") from error

    def write(self, name: str, text: str, seen: str) -> None:
        """`seen` is the mark of what the writer began from, "" for a new board (B2)."""
        board_of(text)
        path = self._path(name)
        now = mark(path.read_text()) if path.exists() else ""
        if now != seen:
            taken = "there is a board of this name already" if not seen else "the file was changed meanwhile"
            raise UsageError(f"not saved: {taken}")
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".toml.new")
        with beside.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UsageError("a board's name is small letters, digits, - and _, at most 60 of them")
        return self.folder / f"{name}.toml"


def mark(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
