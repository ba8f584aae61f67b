"""Versions as columns straight from the lake's raw log: SQL finds from when until when each was known, and takes its attributes out.

L1. The same versions as history.py makes from changes (H1 to H3): a test holds the two together.
L2. Attributes leave the lake as the JSON text of their values, encoded as a dictionary, so each different value is read once.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from penstock.features.columns import FAR, Attribute, Bools, History, Ints
from penstock.features.definition import Source, tie
from penstock.features.history import json_path
from penstock.features.instants import instant_of
from penstock.features.windows import token

ROWS_MAX = 1 << 40
SECONDS_MAX = 3600.0
_HIGH, _LOW = 22, 18  # Digits of the two halves of a position.


class BigSql(Protocol):
    """A lake that may be asked for much."""

    def sql(self, query: str, *, rows_max: int | None = None, seconds_max: float | None = None) -> Any: ...


def versions_sql(source: Source) -> str:
    """The question to the raw log."""
    names = _names(source)
    taken = {
        image: ", ".join(f"{image} -> {json_path(name)} AS c{i}" for i, name in enumerate(names))
        for image in ("new_image", "old_image")
    }
    over = "OVER (PARTITION BY key ORDER BY sequence)"
    return f"""
WITH log AS (
  SELECT key, lpad(sequence, {_HIGH + _LOW}, '0') AS place, epoch_us(commit_time) AS us, new_image, old_image,
         row_number() {over} AS number, lead(lpad(sequence, {_HIGH + _LOW}, '0')) {over} AS next_place,
         lead(epoch_us(commit_time)) {over} AS next_us
  FROM raw."{source.table.name}" WHERE refused IS NULL
), versions AS (
  SELECT {taken["new_image"]}, place, us, next_place, next_us, number = 1 AND old_image IS NULL AS is_first
  FROM log WHERE new_image IS NOT NULL
  UNION ALL
  SELECT {taken["old_image"]}, repeat('0', {_HIGH + _LOW}), -{FAR}, place, us, true
  FROM log WHERE number = 1 AND old_image IS NOT NULL
)
SELECT {", ".join(f"c{i}" for i in range(len(names)))}, us, next_us, is_first,
       CAST(left(place, {_HIGH}) AS BIGINT) AS high, CAST(right(place, {_LOW}) AS BIGINT) AS low,
       CAST(left(next_place, {_HIGH}) AS BIGINT) AS next_high, CAST(right(next_place, {_LOW}) AS BIGINT) AS next_low
FROM versions"""


def _names(source: Source) -> list[str]:
    keys = source.keys if source.needs_ties else ()
    return list(dict.fromkeys((source.entity, source.time, *source.attributes, *keys)))


def lake_history(lake: BigSql, source: Source, backfilled_us: int | None) -> History:
    """One source's versions, in order of (entity, instant, tie)."""
    found: pa.Table = lake.sql(versions_sql(source), rows_max=ROWS_MAX, seconds_max=SECONDS_MAX).table
    columns = {name: _column(found.column(f"c{i}")) for i, name in enumerate(_names(source))}
    entity, entities = _entities(columns[source.entity])
    instant, has_time = _instants(columns[source.time], source.unit)
    kept = numpy.flatnonzero((entity >= 0) & has_time)
    ranks = [_tie_ranks(columns[name])[kept] for name in reversed(source.keys)] if source.needs_ties else []
    order = kept[numpy.lexsort((*ranks, instant[kept], entity[kept]))]
    from_us = _ints(found, "us", -FAR)
    if backfilled_us is not None:
        first = found.column("is_first").combine_chunks().to_numpy(zero_copy_only=False).astype(bool)
        early = first & (from_us <= backfilled_us)
        from_us = numpy.where(early, numpy.minimum(from_us, instant), from_us)
    return History(
        entities,
        entity[order],
        instant[order],
        from_us[order],
        _ints(found, "next_us", FAR)[order],
        (_ints(found, "high", 0)[order], _ints(found, "low", 0)[order]),
        (_ints(found, "next_high", FAR)[order], _ints(found, "next_low", 0)[order]),
        {name: Attribute(columns[name].codes[order], columns[name].values) for name in source.attributes},
    )


def _ints(table: pa.Table, name: str, null: int) -> Ints:
    filled = pc.fill_null(table.column(name).combine_chunks(), null)
    return numpy.asarray(filled.to_numpy(zero_copy_only=False), dtype=numpy.int64)


def _column(texts: pa.ChunkedArray) -> Attribute:
    encoded = texts.cast(pa.string()).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    values = [orjson.loads(text) for text in encoded.dictionary.to_pylist()]
    return Attribute(numpy.asarray(codes, dtype=numpy.int64), values)


def _entities(column: Attribute) -> tuple[Ints, dict[tuple[str, str], int]]:
    entities: dict[tuple[str, str], int] = {}
    codes = [
        -1 if (key := token(value)) is None else entities.setdefault(key, len(entities))
        for value in column.values
    ]
    return numpy.array([*codes, -1], dtype=numpy.int64)[column.codes], entities


def _instants(column: Attribute, unit: str) -> tuple[Ints, Bools]:
    found = [instant_of(value, unit) for value in column.values]
    known = numpy.array([each is not None for each in found] + [False], dtype=numpy.bool_)
    instants = numpy.array([each or 0 for each in found] + [0], dtype=numpy.int64)
    return instants[column.codes], known[column.codes]


def _tie_ranks(column: Attribute) -> Ints:
    places = sorted(range(len(column.values)), key=lambda i: tie(column.values[i]))
    ranks = numpy.zeros(len(places) + 1, dtype=numpy.int64)
    ranks[numpy.array(places, dtype=numpy.int64)] = numpy.arange(len(places))
    return ranks[column.codes]
