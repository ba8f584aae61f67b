"""Reads every byte of a store, so that damage is found when somebody looks and not when somebody needs it.

Opening a store proves its log, its MANIFEST and its tables' footers; `check_store` walks the pairs of every
family, which makes RocksDB compute the checksum of every block that holds data. It knows bytes, not items:
that records, index entries and counters agree is a check of the database's.

Open the store that is checked with a small cache (`open_store(folder, cache_bytes=1 << 20)`): what a cache
holds is not read from the disk again.

K1. No damage found: each family was read whole, in order, twice (forwards and backwards), with the same
    pairs.
K2. Damage stops the walk of its family in that direction; the others go on. `reached` and `resumed` say
    between which keys nothing could be read.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from penstock.errors import Corruption
from penstock.store.interface import Family, Store


@dataclass
class Walk:
    """What one direction of one family gave. `size` is of keys and values, in bytes."""

    pairs: int = 0
    size: int = 0
    last: bytes | None = None
    digest: int = 0  # Sum of the pairs' CRCs: the same in both directions.
    damage: str | None = None


@dataclass
class FamilyFindings:
    """One family: what was read, and the damage between the last key read forwards and backwards.

    `size` is of keys and values, in bytes.
    """

    pairs: int = 0
    size: int = 0
    damage: list[str] = field(default_factory=list)
    reached: bytes | None = None
    resumed: bytes | None = None


def check_store(store: Store) -> dict[Family, FamilyFindings]:
    """Walks every family. Damage is in the findings, not raised."""
    return {family: _check_family(store, family) for family in Family}


def _check_family(store: Store, family: Family) -> FamilyFindings:
    forwards = _walk(store, family, reverse=False)
    backwards = _walk(store, family, reverse=True)
    found = FamilyFindings(forwards.pairs, forwards.size)
    # The same words from both ends are one place.
    found.damage = list(dict.fromkeys(walk.damage for walk in (forwards, backwards) if walk.damage))
    if found.damage:
        found.reached, found.resumed = forwards.last, backwards.last
    elif (forwards.pairs, forwards.digest) != (backwards.pairs, backwards.digest):
        found.damage = [
            f"{family.name}: {forwards.pairs} pairs forwards and {backwards.pairs} backwards are not the same"
        ]
    return found


def _walk(store: Store, family: Family, *, reverse: bool) -> Walk:
    walk = Walk()
    try:
        for key, value in store.scan(family, b"", None, reverse=reverse):
            last = walk.last
            if last is not None and (key >= last if reverse else key <= last):
                raise Corruption(f"{family.name}: key {key.hex()} follows {last.hex()}: out of order")
            walk.last = key
            walk.pairs += 1
            walk.size += len(key) + len(value)
            walk.digest = (walk.digest + zlib.crc32(value, zlib.crc32(key))) & 0xFFFFFFFFFFFFFFFF
    except Corruption as damage:
        walk.damage = str(damage)
    return walk
