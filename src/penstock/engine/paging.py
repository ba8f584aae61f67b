"""Pages: how Query and Scan walk a range of keys until the limit, 1 MB, or its end.

G1. A page ends after `limit` records read, or after the record that takes the bytes read to 1 MB or beyond,
    both counted before the filter; then it carries the last key read, also where nothing follows.
G2. Without filter and projection, a page joins stored bytes: no parse but of the last record.
G3. A read is a generator that yields between slices, so that one long page never holds up other requests. It sees the
    state of the moment when it began (S4 in store/interface.py); only what a local index fetches from the table is read
    as it stands by then.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterator
from itertools import accumulate, islice
from typing import Protocol

import msgspec
import orjson

from penstock.engine.plans import View
from penstock.limits import PAGE_BYTES_MAX
from penstock.model import items
from penstock.model.values import Item

JOINED_RECORDS = 512  # Joined at once, in loops that are C's; about a fifth of a millisecond.
SLICE_RECORDS = 64  # About half a millisecond of parsing and filtering records of 1 KB.


class Filter(Protocol):
    def test(self, item: Item) -> bool: ...


class Shape(Protocol):
    def apply(self, item: Item) -> Item: ...


class Fetch(Protocol):
    """From an index entry's item to the base item's record, where a local index does not project what is asked."""

    def __call__(self, entry: Item) -> bytes | None: ...


class Page(msgspec.Struct):
    parts: list[bytes] = msgspec.field(default_factory=list)
    count: int = 0
    scanned: int = 0
    bytes_read: int = 0
    fetched: list[int] = msgspec.field(default_factory=list)  # Sizes of base items fetched for a local index.
    last: Item | None = None  # The last record's item where the page ended before the range did.


def read_page(
    records: Iterator[tuple[bytes, bytes]],
    limit: int | None,
    filter_: Filter | None,
    shape: Shape | None,
    counting: bool,
    fetch: Fetch | None = None,
) -> Generator[None, None, Page]:
    """One page of `records`. `counting` leaves the parts empty."""
    if filter_ is None and shape is None and fetch is None:
        return (yield from _join_page(records, limit, counting))
    page = Page()
    most = limit if limit is not None else -1
    for _, record in records:
        page.scanned += 1
        page.bytes_read += items.size_of(record)
        entry = items.decode(record)
        item = entry if fetch is None else _fetched(fetch, entry, page)
        if item is not None and (filter_ is None or filter_.test(item)):
            page.count += 1
            if not counting:
                page.parts.append(orjson.dumps(shape.apply(item) if shape is not None else item))
        if page.scanned == most or page.bytes_read >= PAGE_BYTES_MAX:
            page.last = entry
            break
        if page.scanned % SLICE_RECORDS == 0:
            yield
    return page


def _fetched(fetch: Fetch, entry: Item, page: Page) -> Item | None:
    """The base item of an entry; None where it was deleted since the page began."""
    base = fetch(entry)
    if base is None:
        return None
    page.fetched.append(items.size_of(base))
    return items.decode(base)


def _join_page(
    records: Iterator[tuple[bytes, bytes]], limit: int | None, counting: bool
) -> Generator[None, None, Page]:
    page = Page()
    while page.last is None:
        at_once = JOINED_RECORDS if limit is None else min(JOINED_RECORDS, limit - page.scanned)
        held = [record for _, record in islice(records, at_once)]
        if not held:
            break
        _join(page, held, limit, counting)
        if len(held) == JOINED_RECORDS:
            yield
    return page


def _join(page: Page, held: list[bytes], limit: int | None, counting: bool) -> None:
    """Add records to a page, as many as it takes."""
    sizes = items.sizes_of(held)
    bytes_before, bytes_read = page.bytes_read, page.bytes_read + sum(sizes)
    if bytes_read >= PAGE_BYTES_MAX:
        ends = list(accumulate(sizes, initial=bytes_before))
        until = bisect_left(ends, PAGE_BYTES_MAX)  # With the record that reaches it (G1).
        held, bytes_read = held[:until], ends[until]
    page.bytes_read = bytes_read
    page.count = page.scanned = page.scanned + len(held)
    if page.scanned == limit or bytes_read >= PAGE_BYTES_MAX:
        page.last = items.decode(held[-1])
    if not counting:
        header = items.HEADER_BYTES
        page.parts += [record[header:] for record in held]


def short_page(view: View, lower: bytes, upper: bytes, reverse: bool, limit: int | None) -> Page | None:
    """The page of `read_page` without filter and projection where it is read in one go, as most are; None where it is
    longer than one slice joins."""
    most = JOINED_RECORDS if limit is None else limit
    if most > JOINED_RECORDS:
        return None
    held, more = view.page(lower, upper, reverse, most, PAGE_BYTES_MAX)
    if more and (limit is None or len(held) < most):
        return None
    page = Page()
    if held:
        _join(page, held, limit, False)
    return page
