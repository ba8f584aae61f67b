"""Time travel in SQL text: `current.purchases FOR TIMESTAMP AS OF '…'` becomes the name of a view made for it.

    FOR TIMESTAMP AS OF '2026-11-20T10:00:00Z'    what the table said at that time     (also FOR SYSTEM_TIME)
    FOR VERSION AS OF 8417…                       the Iceberg snapshot of that number  (also FOR SYSTEM_VERSION)
    FOR SEQUENCE AS OF '176…'                     what was known at that sequence number of the stream

DuckDB does not know the clause. It stands where an alias may stand, so that the text around it, strings and comments
included, stays as it was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from penstock.errors import UsageError

TEXT_BYTES_MAX = 1 << 20

_TOKENS = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*|/\*.*?\*/)
    | (?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<string>[eE]?'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<word>[^\W\d]\w*)
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_KINDS = {
    "TIMESTAMP": "timestamp",
    "SYSTEM_TIME": "timestamp",
    "VERSION": "version",
    "SYSTEM_VERSION": "version",
    "SEQUENCE": "sequence",
}
_NO_ALIAS = frozenset({
    "ANTI", "ASOF", "CROSS", "EXCEPT", "FETCH", "FROM", "FULL", "GROUP", "HAVING", "INNER", "INTERSECT",
    "JOIN", "LATERAL", "LEFT", "LIMIT", "NATURAL", "OFFSET", "ON", "ORDER", "OUTER", "PIVOT",
    "POSITIONAL", "QUALIFY", "RIGHT", "SAMPLE", "SELECT", "SEMI", "SET", "TABLESAMPLE", "UNION",
    "UNPIVOT", "USING", "WHERE", "WINDOW", "WITH", "FOR",
})  # fmt: skip


@dataclass(frozen=True)
class Travel:
    """A table at a moment. `view` is the name that stands for it in the text."""

    namespace: str
    name: str
    kind: str  # timestamp, version or sequence.
    value: str
    view: str


@dataclass(frozen=True)
class Rewritten:
    sql: str
    travels: list[Travel] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> str | None:
        if self.kind == "word":
            return self.text
        return self.text[1:-1].replace('""', '"') if self.kind == "quoted" else None


def rewrite(sql: str) -> Rewritten:
    """The text with each time-travelling table replaced by a view's name, and what those views are."""
    if len(sql) > TEXT_BYTES_MAX:
        raise UsageError(f"a query is at most {TEXT_BYTES_MAX} characters long")
    tokens = [
        _Token("dollar" if match.lastgroup in ("tag", None) else match.lastgroup, match[0], *match.span())
        for match in _TOKENS.finditer(sql)
        if match.lastgroup != "space"
    ]
    parts: list[str] = []
    travels: list[Travel] = []
    copied = place = 0
    while place < len(tokens):
        found = _travel_at(tokens, place, len(travels))
        if found is None:
            place += 1
            continue
        travel, after = found
        travels.append(travel)
        alias = "" if _alias_follows(tokens, after) else f" AS {quote(travel.name)}"
        parts += (sql[copied : tokens[place].start], f"{quote(travel.namespace)}.{quote(travel.view)}{alias}")
        copied = tokens[after - 1].end
        place = after
    parts.append(sql[copied:])
    return Rewritten("".join(parts), travels)


def _travel_at(tokens: list[_Token], place: int, count: int) -> tuple[Travel, int] | None:
    """`namespace . name FOR … AS OF literal` at this token, and the token behind it."""
    window = tokens[place : place + 9]
    if len(window) < 8 or window[1].text != "." or window[3].upper != "FOR":
        return None
    namespace, name = window[0].name, window[2].name
    if namespace is None or name is None or window[4].upper not in _KINDS:
        return None
    if (window[5].upper, window[6].upper) != ("AS", "OF"):
        return None
    kind = _KINDS[window[4].upper]
    literal, after = window[7], place + 8
    if literal.upper in ("TIMESTAMP", "TIMESTAMPTZ") and len(window) > 8:
        literal, after = window[8], place + 9
    if literal.kind == "string" and literal.text.startswith("'"):
        value = literal.text[1:-1].replace("''", "'")
    elif literal.kind == "number":
        value = literal.text
    else:
        raise UsageError(f"FOR {window[4].text} AS OF takes a literal, not {literal.text}")
    return Travel(namespace, name, kind, value, f"{name} as of {count}"), after


def _alias_follows(tokens: list[_Token], place: int) -> bool:
    if place >= len(tokens):
        return False
    token = tokens[place]
    return token.kind == "quoted" or (token.kind == "word" and token.upper not in _NO_ALIAS)


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
