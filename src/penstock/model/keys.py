"""Keys as bytes. K1: a < b in DynamoDB's order exactly when encode(a) < encode(b).

    base record   space (4) | hash (4) | partition | sort
    index entry   space (4) | hash (4) | partition | sort | base partition | base sort

Every component is self-delimiting: 0x00 inside is written 0x00 0xFF, and 0x00 0x00 ends it. So
K2. no component is a prefix of another, and concatenation keeps the order;
K3. all items of one partition key are neighbours, in sort order, under `partition_prefix`;
K4. the hash spreads partitions, and each range of hashes is a contiguous range of keys: scan segments, stream shards
    and their splits are exact ranges.

The hash is CRC-32 times an odd constant: cheap from Python (0.2 µs), and a partition of unlucky keys costs balance
only, never correctness, since the whole key follows it.
"""

from __future__ import annotations

import struct
from binascii import a2b_base64, crc32
from collections.abc import Iterable

from penstock import errors
from penstock.limits import PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX
from penstock.model import numbers
from penstock.model.tables import Index, KeyAttribute, KeySchema, Table
from penstock.model.values import AttributeValue, Item, Key

HASH_SPACE = 1 << 32
SURELY_SHORT = SORT_KEY_BYTES_MAX // 4  # So many characters have at most that many bytes, four for each.
PREFIX_BYTES = 8  # space and hash: the unit in which unsynced writes are tracked.
END = b"\0\0"  # Of a component.
_PACK_PREFIX = struct.Struct(">II").pack
_PACK_SPACE = struct.Struct(">I").pack


def raw_component(value: AttributeValue, type_: str) -> bytes:
    """The bytes whose order is the value's order."""
    if type_ == "S":
        return value["S"].encode()
    if type_ == "N":
        return numbers.order_key(value["N"])
    return a2b_base64(value["B"])


def escape(raw: bytes) -> bytes:
    return raw.replace(b"\0", b"\0\xff") if b"\0" in raw else raw


def component(value: AttributeValue, type_: str) -> bytes:
    # Strings, which most keys are, without a call each.
    raw = value["S"].encode() if type_ == "S" else raw_component(value, type_)
    return raw + END if b"\0" not in raw else escape(raw) + END


def hash_of(partition: bytes) -> int:
    return crc32(partition) * 0x9E3779B1 & 0xFFFFFFFF


def partition_prefix(space: int, partition: bytes) -> bytes:
    return _PACK_PREFIX(space, crc32(partition) * 0x9E3779B1 & 0xFFFFFFFF) + partition


def encode_partition(attributes: tuple[KeyAttribute, ...], item: Item) -> bytes:
    if len(attributes) == 1:
        attribute = attributes[0]
        return component(item[attribute.name], attribute.type)
    return b"".join([component(item[attribute.name], attribute.type) for attribute in attributes])


def base_suffix(keys: KeySchema, item: Item) -> bytes:
    """Partition and sort key without space and hash: what an index entry ends with."""
    partition = encode_partition(keys.partition, item)
    return partition + encode_partition(keys.sort, item) if keys.sort else partition


def base_key(table: Table, item: Item) -> bytes:
    """The key of an item (or of its key attributes) in the base table."""
    keys = table.keys
    attribute = keys.partition[0]
    partition = component(item[attribute.name], attribute.type)
    prefix = _PACK_PREFIX(table.space, crc32(partition) * 0x9E3779B1 & 0xFFFFFFFF)
    if not keys.sort:
        return prefix + partition
    sort = keys.sort[0]
    return prefix + partition + component(item[sort.name], sort.type)


def index_key(index: Index, item: Item, suffix: bytes) -> bytes | None:
    """The key of the item's entry, or None where it has none: the index is sparse.

    Without an entry are items that lack an index key, and those that hold one that no write could put there now: of
    another type, empty or too long. Such an item can only be older than the index.
    """
    keys = index.keys
    components: list[bytes] = []
    for attribute in keys.attributes:
        value = item.get(attribute.name)
        if value is None or not value.get(attribute.type):
            return None
        components.append(component(value, attribute.type))
    count = len(keys.partition)
    partition = components[0] if count == 1 else b"".join(components[:count])
    sort = b"".join(components[count:])
    if (
        len(partition) > PARTITION_KEY_BYTES_MAX and _length(keys.partition, item) > PARTITION_KEY_BYTES_MAX
    ) or (len(sort) > SORT_KEY_BYTES_MAX and _length(keys.sort, item) > SORT_KEY_BYTES_MAX):
        return None
    return partition_prefix(index.space, partition) + sort + suffix


def after(prefix: bytes) -> bytes:
    """The least key above everything that starts with `prefix`."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b"\xff" * (len(prefix) + 1)


def space_bounds(space: int) -> tuple[bytes, bytes]:
    return _PACK_SPACE(space), _PACK_SPACE(space + 1)


def segment_bounds(space: int, segment: int, total: int) -> tuple[bytes, bytes]:
    """The keys of one of `total` equal ranges of hashes."""
    low, high = HASH_SPACE * segment // total, HASH_SPACE * (segment + 1) // total
    upper = _PACK_SPACE(space + 1) if high == HASH_SPACE else _PACK_PREFIX(space, high)
    return _PACK_PREFIX(space, low), upper


def hash_in_key(key: bytes) -> int:
    return int.from_bytes(key[4:8], "big")


def key_of(keys: KeySchema, item: Item) -> Key:
    return {name: item[name] for name in keys.names}


def key_attributes(table: Table, index: Index | None) -> tuple[KeyAttribute, ...]:
    """What LastEvaluatedKey holds: the index's keys, then the table's, each once."""
    if index is None:
        return table.keys.partition + table.keys.sort
    own = index.keys.partition + index.keys.sort
    names = {attribute.name for attribute in own}
    return own + tuple(a for a in table.keys.partition + table.keys.sort if a.name not in names)


def _is_surely_sound(keys: KeySchema, item: Item) -> bool:
    """The quick look that almost every key passes: all there, of their types, not empty, short."""
    for attribute in keys.attributes:
        value = item.get(attribute.name)
        if value is None:
            return False
        held = value.get(attribute.type)
        if not held or len(held) > SURELY_SHORT:  # type: ignore[arg-type]
            return False
    return True


def check_key(keys: KeySchema, key: Key) -> None:
    """A request's Key has exactly the key attributes, of their types."""
    names = keys.names
    if len(key) != len(names):
        raise errors.validation("The provided key element does not match the schema")
    if _is_surely_sound(keys, key):
        return
    for attribute in keys.attributes:
        value = key.get(attribute.name)
        if value is None or attribute.type not in value:
            raise errors.validation("The provided key element does not match the schema")
    _check_bounds(keys, key)


def check_item_keys(keys: KeySchema, item: Item) -> None:
    """An item to be put has the key attributes, of their types, not empty, within their sizes."""
    if _is_surely_sound(keys, item):
        return
    for attribute in keys.attributes:
        value = item.get(attribute.name)
        if value is None:
            raise errors.invalid_parameter(f"Missing the key {attribute.name} in the item")
        if attribute.type not in value:
            raise errors.invalid_parameter(
                f"Type mismatch for key {attribute.name} expected: {attribute.type} actual: {next(iter(value))}"
            )
    _check_bounds(keys, item)


def check_index_keys(index: Index, item: Item) -> None:
    """An item may lack an index key, but a key that is there has the right type and is not empty."""
    for attribute in index.keys.attributes:
        value = item.get(attribute.name)
        if value is None:
            continue
        if attribute.type not in value:
            raise errors.invalid_parameter(
                f"Type mismatch for Index Key {attribute.name} Expected: {attribute.type} "
                f"Actual: {next(iter(value))} IndexName: {index.name}"
            )
        if _is_empty(value):
            kind = "string" if "S" in value else "binary"
            raise errors.validation(
                "One or more parameter values are not valid. A value specified for a secondary index key is "
                f"not supported. The AttributeValue for a key attribute cannot contain an empty {kind} value. "
                f"IndexName: {index.name}, IndexKey: {attribute.name}"
            )
    _check_sizes(index.keys, item)


def _is_empty(value: AttributeValue) -> bool:
    return value.get("S") == "" or value.get("B") == ""


def _check_bounds(keys: KeySchema, item: Item) -> None:
    for attribute in keys.attributes:
        value = item[attribute.name]
        if _is_empty(value):
            kind = "string" if "S" in value else "binary"
            raise errors.validation(
                "One or more parameter values are not valid. The AttributeValue for a key attribute "
                f"cannot contain an empty {kind} value. Key: {attribute.name}"
            )
    _check_sizes(keys, item)


def _check_sizes(keys: KeySchema, item: Item) -> None:
    if _length(keys.partition, item) > PARTITION_KEY_BYTES_MAX:
        # AWS's own text has no space before the number.
        raise errors.invalid_parameter(
            f"Size of hashkey has exceeded the maximum size limit of{PARTITION_KEY_BYTES_MAX} bytes"
        )
    if keys.sort and _length(keys.sort, item) > SORT_KEY_BYTES_MAX:
        raise errors.invalid_parameter(
            f"Aggregated size of all range keys has exceeded the size limit of {SORT_KEY_BYTES_MAX} bytes"
        )


def _length(attributes: Iterable[KeyAttribute], item: Item) -> int:
    total = 0
    for attribute in attributes:
        value = item.get(attribute.name)
        if value is None:
            continue
        if attribute.type == "S":
            text = value["S"]
            # Only a text that could be too long is encoded to be measured.
            total += len(text) if len(text) * 4 <= SORT_KEY_BYTES_MAX else len(text.encode())
        elif attribute.type == "B":
            total += len(value["B"]) // 4 * 3 - value["B"].count("=")
    return total
