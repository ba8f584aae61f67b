"""Items as stored: a small header, then the item's canonical JSON, so that reads join bytes without a parse.

    record  = format (1 byte, 0x01) | flags (1 byte, 0) | size (4 bytes, big-endian) | JSON
    size    = what AWS counts for the item (names and values), not the length of the JSON

I1. `json_of(encode(item, size))` is exactly `orjson.dumps(item)`.
I2. The size is computed once, when the item is written; paging and capacity never parse.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import cast

import orjson

from penstock.errors import Corruption
from penstock.model.values import Item, item_size

HEADER = struct.Struct(">BBI")
HEADER_BYTES = HEADER.size
FORMAT = 1

_unpack_size = struct.Struct(">I").unpack_from


def encode(item: Item, size: int) -> bytes:
    return HEADER.pack(FORMAT, 0, size) + orjson.dumps(item)


def encode_measured(item: Item) -> bytes:
    return encode(item, item_size(item))


def size_of(record: bytes) -> int:
    size: int = _unpack_size(record, 2)[0]
    return size


def sizes_of(records: Sequence[bytes]) -> list[int]:
    return [_unpack_size(record, 2)[0] for record in records]


def json_of(record: bytes) -> bytes:
    return record[HEADER_BYTES:]


def decode(record: bytes) -> Item:
    if record[0] != FORMAT:
        raise Corruption(f"an item record starts with {record[:1]!r}, expected format {FORMAT}")
    try:
        return cast(Item, orjson.loads(record[HEADER_BYTES:]))
    except orjson.JSONDecodeError as error:
        raise Corruption(f"an item record is not JSON: {error}") from error


def select(item: Item, names: frozenset[str]) -> tuple[Item, int]:
    """The attributes named, in the item's own order, and their size."""
    chosen = {name: value for name, value in item.items() if name in names}
    return chosen, item_size(chosen)
