"""Packs of many entities as one matrix: what each says alone, and of the form before this one too."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.features.test_tiles import SUMS, World, clicks

from penstock.errors import Corruption, UsageError
from penstock.features.definition import Measure
from penstock.features.instants import text_of
from penstock.features.online import Reader, read
from penstock.features.pack_sums import FewPacks, Packs, PackSums
from penstock.features.packs import Folded, Pack, Packed, pack_of, packed, unpacked
from penstock.features.tiles import TileReader
from penstock.features.windows import Part
from penstock.testing.clock import START_US

MEASURES = SUMS.sources[0].measures


def kept(attributes: dict[str, Any]) -> Packed:
    return msgspec.convert(attributes, Packed)


def first_form(pack: Pack) -> dict[str, Any]:
    """An item as the first packs were written."""
    held = {"days": pack.days, "events": pack.events, "of": pack.columns}
    return {"columns": {"S": orjson.dumps(held).decode()}}


def folded(days: dict[int, list[Decimal]]) -> Folded:
    rows = {
        day: [(day, (), {"n": {"N": str(n)}, "colour": {"S": "red" if n > 0 else "blue"}}) for n in numbers]
        for day, numbers in days.items()
    }
    return {
        day: (len(each), {measure.name: measure.fold(each) for measure in MEASURES})
        for day, each in rows.items()
    }


def alone(packs: Sequence[Packed], measure: Measure, days: range) -> Part:
    part = measure.fold([])
    for each in map(unpacked, packs):
        begin, end = each.places(days)
        if begin < end:
            part = measure.kind.merge(part, each.fold(measure, begin, end))
    return part


_numbers = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-1000, max_value=1000),
    st.integers(-(10**17), 10**17).map(Decimal),
    st.sampled_from(
        [Decimal("1E-100"), Decimal("9.99E+120"), Decimal("12345678901234567890.5"), Decimal("3E+5")]
    ),
)
_days = st.dictionaries(
    st.integers(-3, 20), st.lists(_numbers, min_size=1, max_size=3), min_size=1, max_size=5
)


# Why: N1 and N2, and K2 and K5 of packs.py. Forms that scale a measure in other ways, numbers beyond 31, 53 and 63 bits, parts
# beside sums, packs as they were first written, and several packs of one entity: each entity has the bits it has alone.
@settings(deadline=None)
@given(
    st.lists(st.lists(st.tuples(_days, st.booleans()), max_size=3), min_size=1, max_size=4),
    st.integers(-4, 21),
    st.integers(-4, 21),
)
def test_many_packs_say_of_each_entity_what_its_own_say(
    entities: list[list[tuple[dict[int, list[Decimal]], bool]]], low: int, high: int
) -> None:
    packs: list[list[Packed]] = []
    for each in entities:
        written = [(packed(MEASURES, folded(days)), is_first) for days, is_first in each]
        packs.append([kept(first_form(pack_of(item)) if is_first else item) for item, is_first in written])
    of_all = [(place, pack) for place, held in enumerate(packs) for pack in held]
    days = range(low, high)
    for made in (PackSums, FewPacks):
        check(made(len(packs), of_all), packs, days)


def check(found: Packs, packs: list[list[Packed]], days: range) -> None:
    counts = [sum(sum(p.events[slice(*p.places(days))]) for p in map(unpacked, held)) for held in packs]
    assert found.events(days) == counts
    assert found.with_events(days) == {place for place, count in enumerate(counts) if count}
    for measure in MEASURES:
        sums = found.sums(measure, days)
        parts = [measure.fold([]) if sums is None else sums.part(place) for place in range(len(packs))]
        values: list[Any] = [None] * len(packs) if sums is None else sums.values(measure)
        for place, part in found.parts(measure, days):
            parts[place] = measure.kind.merge(parts[place], part)
            values[place] = measure.finish(parts[place], 0)
        for place, held in enumerate(packs):
            expected = alone(held, measure, days)
            assert parts[place] == expected
            if sums is not None:
                assert repr(values[place]) == repr(measure.finish(expected, 0))


# Why: tiles of a running application are of the first form. They are read as they are, and a pack takes the new form when
# one of its days is folded anew: nothing has to be brought in again.
def test_tiles_of_the_first_form_answer_and_are_renewed_as_days_change() -> None:
    world = World(SUMS)
    for number in range(5):
        at = text_of(START_US - number * 86_400_000_000)
        world.change(f"{number}", {"at": at, "n": Decimal(f"{number}.25"), "colour": "red"})
    for item in world.client.scan(TableName="ClickTiles")["Items"]:
        key = {name: item[name] for name in ("entity", "day", "version")}
        world.client.put_item(TableName="ClickTiles", Item={**key, **first_form(pack_of(item))})
    raw = read(world.client.query, Reader(SUMS), {"S": "w"}, START_US).measured
    assert TileReader(SUMS).read(world.call, "w", START_US) == raw
    clicks.put(
        {
            "who": "w",
            "id": "late",
            "at": text_of(START_US - 86_400_000_000),
            "n": Decimal(7),
            "colour": "blue",
        }
    )
    for day in range(5):
        world.maker.make(SUMS.sources[0], "w", [START_US // 86_400_000_000 - day])
    assert not any("columns" in item for item in world.client.scan(TableName="ClickTiles")["Items"])
    raw = read(world.client.query, Reader(SUMS), {"S": "w"}, START_US).measured
    assert TileReader(SUMS).read(world.call, "w", START_US) == raw


# Why: a feature that was declared after the tiles were made would be 0 for all of history, and nobody would see it.
def test_a_feature_that_a_pack_does_not_know_is_refused_for_all() -> None:
    unknowing = kept(packed((), {1: (1, {})}))
    knowing = kept(packed(MEASURES, folded({1: [Decimal(1)]})))
    for made in (PackSums, FewPacks):
        found: Packs = made(2, [(0, knowing), (1, unknowing)])
        with pytest.raises(UsageError, match="another name"):
            list(found.parts(MEASURES[0], range(3)))
        assert not list(found.parts(MEASURES[0], range(2, 3)))


# Why: an item that is no pack is damage, not a customer without purchases.
def test_an_item_without_rows_is_damage() -> None:
    with pytest.raises(Corruption, match="neither"):
        PackSums(1, [(0, Packed())])
