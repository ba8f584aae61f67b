"""Which column an attribute's value goes to, and how a table of items grows columns by itself.

E1. The first kind that an attribute is seen with names its column: `price` of N is the column `price`.
E2. A later kind of the same attribute gets a sibling, `price__s`: nothing is dropped, narrowed, cast or renamed.
E3. A number is decimal(38, 9). One that does not fit (1E-20, 38 digits before the point) leaves null there and stands
    as text in `price__text`. A column that began as an integer could never widen, and a double is not the number.
E4. NULL is no evidence: it makes no column, and is kept in `_extra`.
E5. `_extra` is a JSON object of exact DynamoDB values: what has no column of its own. That is an attribute beyond
    COLUMNS_MAX columns, one whose name is taken (also by another case: most SQL engines do not tell them apart),
    and what its column does not tell exactly (NULL; a list or map with binary or sets inside).
E6. A list or map is one column of plain JSON text, numbers digit by digit. Struct columns would grow without bound
    from maps whose keys are data.
E7. A column says in its `doc` which attribute and kind it holds, so that the mapping moves with the schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson

from penstock.errors import UsageError

COLUMNS_MAX = 500
NAME_BYTES_MAX = 255
KEY, SEQUENCE, EXTRA = "_key", "_sequence", "_extra"
OWN_COLUMNS = (KEY, SEQUENCE, EXTRA)

# A tag of DynamoDB JSON -> the kind of column that holds it. Lists and maps share one.
KIND_OF_TAG = {
    "S": "S", "N": "N", "B": "B", "BOOL": "BOOL", "SS": "SS", "NS": "NS", "BS": "BS", "L": "JSON", "M": "JSON",
}  # fmt: skip
TEXT = "TEXT"  # The exact text of numbers that a decimal cannot hold.
KINDS = frozenset({*KIND_OF_TAG.values(), TEXT})

_DECLARED = {
    "string": "string", "str": "string", "text": "string", "s": "string",
    "number": "decimal(38,9)", "decimal": "decimal(38,9)", "n": "decimal(38,9)",
    "integer": "long", "int": "long", "long": "long",
    "double": "double", "float": "double",
    "boolean": "boolean", "bool": "boolean",
    "binary": "binary", "bytes": "binary", "b": "binary",
    "time": "timestamp", "timestamp": "timestamp", "date": "date",
    "json": "json", "list": "json", "map": "json",
}  # fmt: skip
_NOT_WORD = re.compile(r"\W+")
_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")


@dataclass(frozen=True, slots=True)
class Column:
    """A column made from an attribute. `kind` is one of KINDS, or a declared type such as `decimal(12,2)`."""

    name: str
    attribute: str
    kind: str

    def doc(self) -> str:
        return orjson.dumps({"attribute": self.attribute, "kind": self.kind}).decode()

    @classmethod
    def from_doc(cls, name: str, doc: str | None) -> Column | None:
        """The column that a schema's field says it is; None for a field that is not made from an attribute."""
        try:
            said = orjson.loads(doc or "")
            return cls(name, said["attribute"], said["kind"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None


class Columns:
    """The columns of one table. `place` answers where a value goes; `added` are those that are new since `settle`."""

    def __init__(self, held: Iterable[Column], declared: Mapping[str, str] | None = None) -> None:
        self.all = list(held)
        self.added: list[Column] = []
        self.declared = declared_types(declared or {})
        self._by_kind = {(column.attribute, column.kind): column for column in self.all}
        self._names = {column.name.lower() for column in self.all} | set(OWN_COLUMNS)
        self._seen = {column.attribute for column in self.all}
        for attribute, kind in self.declared.items():
            if self.place(attribute, kind) is None:
                raise UsageError(
                    f"declared column {attribute!r} cannot be made: its name is taken or too long"
                )

    def place(self, attribute: str, kind: str) -> Column | None:
        """The column for this kind of this attribute, made if need be; None where `_extra` takes it (E5)."""
        found = self._by_kind.get((attribute, kind))
        if found is not None:
            return found
        name = (
            attribute
            if attribute not in self._seen
            else f"{attribute}__{_NOT_WORD.sub('_', kind.lower()).strip('_')}"
        )
        if not _may_be(name) or name.lower() in self._names or len(self.all) >= COLUMNS_MAX:
            return None
        column = Column(name, attribute, kind)
        self.all.append(column)
        self.added.append(column)
        self._by_kind[attribute, kind] = column
        self._names.add(name.lower())
        self._seen.add(attribute)
        return column

    def settle(self) -> None:
        """The new columns are in the table's schema now."""
        self.added = []

    def families(self) -> dict[str, list[Column]]:
        """Each attribute's columns, the first one first: what a view joins."""
        found: dict[str, list[Column]] = {}
        for column in self.all:
            found.setdefault(column.attribute, []).append(column)
        return found


def _may_be(name: str) -> bool:
    return bool(name) and len(name.encode("utf-8", "replace")) <= NAME_BYTES_MAX and name.isprintable()


def declared_types(declared: Mapping[str, str]) -> dict[str, str]:
    """A declared schema in one spelling, or UsageError for a type that there is not."""
    return {attribute: _declared_type(attribute, str(written)) for attribute, written in declared.items()}


def _declared_type(attribute: str, written: str) -> str:
    text = written.strip().lower()
    found = _DECIMAL.fullmatch(text)
    if found is not None:
        precision, scale = int(found[1]), int(found[2])
        if not 1 <= precision <= 38 or scale > precision:
            raise UsageError(f"{attribute}: {written} is not a decimal of at most 38 digits")
        return f"decimal({precision},{scale})"
    if text not in _DECLARED:
        known = "string, decimal(p,s), number, integer, double, boolean, binary, timestamp, date, json"
        raise UsageError(f"{attribute}: no type {written!r}; there are {known}")
    return _DECLARED[text]
