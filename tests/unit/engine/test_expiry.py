"""Expiry entries as keys: in order of time, and back to the item."""

from __future__ import annotations

import pytest

from penstock.engine.expiry import base_key_in_entry, entry_key, plan_expiry, second_in_entry, second_of
from penstock.engine.plans import Plan
from penstock.model.keys import base_key
from penstock.model.tables import KeyAttribute, KeySchema, Table, TimeToLive
from penstock.model.values import AttributeValue, Item

TABLE = Table("t", "id", 7, KeySchema((KeyAttribute("pk", "S"),)), 0)
TTL = TimeToLive("ttl", 9)


@pytest.mark.parametrize(
    ("value", "second"),
    [
        ({"N": "0"}, 0),
        ({"N": "1767225600"}, 1767225600),
        ({"N": "1767225600.99"}, 1767225600),
        ({"N": "9223372036854775807"}, 2**63 - 1),
        ({"N": "9223372036854775808"}, None),
        ({"N": "-0.5"}, None),
        ({"S": "1767225600"}, None),
    ],
)
def test_only_a_number_of_seconds_is_a_time(value: AttributeValue, second: int | None) -> None:
    assert second_of(TTL, {"pk": {"S": "a"}, "ttl": value}) == second


# Why: what has expired is one range of keys only if an earlier second sorts first.
def test_an_entry_sorts_by_its_second_and_leads_back_to_its_item() -> None:
    key = base_key(TABLE, {"pk": {"S": "a"}})
    seconds = [0, 1, 255, 256, 1767225600, 2**63 - 1]
    entries = [entry_key(TTL, second, key) for second in seconds]
    assert entries == sorted(entries)
    assert [second_in_entry(entry) for entry in entries] == seconds
    assert {base_key_in_entry(TABLE, entry) for entry in entries} == {key}


def test_an_entry_is_written_only_if_the_second_changes() -> None:
    key = base_key(TABLE, {"pk": {"S": "a"}})

    def item(second: str) -> Item:
        return {"pk": {"S": "a"}, "ttl": {"N": second}}

    unchanged = Plan(puts=[], deletes=[])
    plan_expiry(unchanged, TTL, key, item("5"), item("5.5"))
    assert (unchanged.puts, unchanged.deletes) == ([], [])
    moved = Plan(puts=[], deletes=[])
    plan_expiry(moved, TTL, key, item("5"), item("6"))
    assert moved.deletes == [entry_key(TTL, 5, key)]
    assert moved.puts == [(entry_key(TTL, 6, key), b"")]
