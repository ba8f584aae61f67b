"""Pages: what is read, what is counted, where they end."""

from __future__ import annotations

import pytest

from penstock.engine.paging import read_page
from penstock.limits import PAGE_BYTES_MAX
from penstock.model import items
from penstock.model.values import Item


def record(name: str) -> tuple[bytes, bytes]:
    return name.encode(), items.encode_measured({"pk": {"S": name}})


# Why: a page that takes several slices meets items that were deleted since it began; half of one is no answer.
def test_an_item_that_went_before_it_was_fetched_is_left_out() -> None:
    def fetch(entry: Item) -> bytes | None:
        return None if entry["pk"] == {"S": "gone"} else record("here")[1]

    reading = read_page(iter([record("gone"), record("here")]), None, None, None, False, fetch)
    try:
        next(reading)
    except StopIteration as finished:
        page = finished.value
    assert (page.parts, page.count, page.scanned) == ([b'{"pk":{"S":"here"}}'], 1, 2)


# Why: a page joins many records at once, and still has to end behind the very record that its limit or 1 MB is reached with.
@pytest.mark.parametrize("limit", [None, 1, 511, 512, 513, 1024, 3000])
@pytest.mark.parametrize(("count", "size"), [(0, 1), (512, 10), (1025, 10), (1500, 1000), (40, 400_000)])
def test_a_joined_page_ends_behind_the_record_that_fills_it(limit: int | None, count: int, size: int) -> None:
    records = [(b"%d" % n, items.encode({"pk": {"S": f"{n}"}}, size)) for n in range(count)]
    reading = read_page(iter(records), limit, None, None, False)
    while True:
        try:
            next(reading)
        except StopIteration as finished:
            page = finished.value
            break
    ends = [n for n in range(1, count + 1) if n == limit or n * size >= PAGE_BYTES_MAX]
    until = ends[0] if ends else count
    assert page.parts == [record[items.HEADER_BYTES :] for _, record in records[:until]]
    assert (page.count, page.scanned, page.bytes_read) == (until, until, until * size)
    assert page.last == ({"pk": {"S": f"{until - 1}"}} if ends else None)
