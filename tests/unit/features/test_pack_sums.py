"""Packs of many entities as one matrix: what each says alone, and of the form before this one too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.features.test_tiles import SUMS, World, clicks

from penstock.errors import Corruption, UsageError
from penstock.features.definition import Measure
from penstock.features.instants import DAY_US, text_of
from penstock.features.online import Reader, read
from penstock.features.pack_sums import Days, Edge, FewPacks, Packs, PackSums
from penstock.features.packs import (
    TYPES,
    Day,
    Folded,
    Pack,
    Packed,
    as_kept,
    fold_day,
    form_and_rows,
    form_of,
    pack_of,
    packed,
    unpacked,
)
from penstock.features.tiles import TileReader
from penstock.features.windows import Part
from penstock.testing.clock import START_US

MEASURES = SUMS.sources[0].measures
APART_US = 3_600_000_001


def kept(attributes: dict[str, Any]) -> Packed:
    return msgspec.convert(attributes, Packed)


def packed_again(pack: Pack) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(as_kept(pack), builtin_types=(bytes,))
    return {name: value for name, value in found.items() if value is not None}


def first_form(pack: Pack) -> dict[str, Any]:
    """An item as the first packs were written."""
    held = {"days": pack.days, "events": pack.events, "of": pack.columns}
    return {"columns": {"S": orjson.dumps(held).decode()}}


def second_form(pack: Pack) -> dict[str, Any]:
    """An item as packs were written before they knew the ends of their days' events."""
    now = as_kept(pack)
    text, rows = form_and_rows(now)
    form = form_of(text)
    table = numpy.frombuffer(rows, dtype=TYPES[form.width]).reshape(-1, form.numbers)
    held = {"bytes": form.width, "of": form.exponents}
    attributes: dict[str, Any] = {
        "form": {"S": orjson.dumps(held).decode()},
        "rows": {"B": numpy.delete(table, [2, 3], axis=1).tobytes()},
    }
    return attributes if now.parts is None else {**attributes, "parts": {"S": now.parts.S}}


FORMS = (packed_again, first_form, second_form)


def folded(days: dict[int, list[Decimal]]) -> Folded:
    rows = {
        day: [
            (
                day * DAY_US + place * APART_US,
                (),
                {"n": {"N": str(n)}, "colour": {"S": "red" if n > 0 else "blue"}},
            )
            for place, n in enumerate(numbers)
        ]
        for day, numbers in days.items()
    }
    return {day: fold_day(MEASURES, day, each) for day, each in rows.items()}


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
_near = st.sampled_from(
    [5_000_000 + by for by in (-1001, -1000, -1, 0, 1, 999, 1000, 1001)] + [0, DAY_US - 1]
)
_days = st.dictionaries(
    st.integers(-3, 20), st.lists(_numbers, min_size=1, max_size=3), min_size=1, max_size=5
)


_packed = st.builds(
    lambda days, write: kept(write(pack_of(packed(MEASURES, folded(days))))), _days, st.sampled_from(FORMS)
)


# Why: N1 and N2, and K2 and K5 of packs.py. Forms that scale a measure in other ways, numbers beyond 31, 53 and 63 bits, parts
# beside sums, packs as they were first written, and several packs of one entity: each entity has the bits it has alone.
@settings(deadline=None)
@given(
    st.lists(st.lists(_packed, max_size=3), min_size=1, max_size=4),
    st.integers(-4, 21),
    st.integers(-4, 21),
    st.data(),
)
def test_many_packs_say_of_each_entity_what_its_own_say(
    entities: list[list[Packed]], low: int, high: int, data: st.DataObject
) -> None:
    of_all = [(place, pack) for place, held in enumerate(entities) for pack in held]
    before, after = (
        numpy.array(data.draw(st.lists(st.booleans(), min_size=len(entities), max_size=len(entities))))
        for _ in range(2)
    )
    for made in (PackSums, FewPacks):
        check(made(len(entities), of_all), entities, Days(range(low, high), before, after))


def check(found: Packs, packs: list[list[Packed]], days: Days) -> None:
    of = [range(days.whole.start - int(before), max(days.whole.start, days.whole.stop) + int(after))
          for before, after in zip(days.before, days.after, strict=True)]  # fmt: skip
    assert found.events(days) == [
        sum(sum(pack.events[slice(*pack.places(inside))]) for pack in map(unpacked, held))
        for held, inside in zip(packs, of, strict=True)
    ]
    for measure in MEASURES:
        sums = found.sums(measure, days)
        parts = [measure.fold([]) if sums is None else sums.part(place) for place in range(len(packs))]
        values: list[Any] = [None] * len(packs) if sums is None else sums.values(measure)
        for place, part in found.parts(measure, days):
            parts[place] = measure.kind.merge(parts[place], part)
            values[place] = measure.finish(parts[place], 0)
        for place, held in enumerate(packs):
            expected = alone(held, measure, of[place])
            assert parts[place] == expected
            if sums is not None:
                assert repr(values[place]) == repr(measure.finish(expected, 0))


# Why: N5. What is called whole is summed unseen, and what is called neither whole nor apart is read: each event has to be counted
# once, at the microsecond, and a day that a millisecond tells apart costs no read.
@given(
    st.lists(st.lists(st.integers(0, DAY_US - 1) | _near, min_size=1, max_size=3), min_size=1, max_size=6),
    st.tuples(st.integers(-1, DAY_US - 1) | _near, st.integers(-1, DAY_US - 1) | _near).map(sorted),
    st.sampled_from(FORMS),
)
def test_a_day_says_whether_a_window_holds_it_all(
    entities: list[list[int]], bounds: list[int], write: Callable[[Pack], dict[str, Any]]
) -> None:
    day, (low, high) = 3, bounds
    edge = Edge(day, day * DAY_US + low, day * DAY_US + high)
    days = [{day: fold_day((), day, [(day * DAY_US + at, (), {}) for at in each])} for each in entities]
    packs = [(place, kept(write(pack_of(packed((), each))))) for place, each in enumerate(days)]
    for made in (PackSums, FewPacks):
        whole, cut = made(len(entities), packs).told(edge)
        for place, instants in enumerate(entities):
            inside = [low < at <= high for at in instants]
            assert not whole[place] or all(inside)
            assert whole[place] or place in cut or not any(inside)
            assert not (whole[place] and place in cut)
            first, last = min(instants), max(instants)
            is_clear = last < high - 1000 and first > low + 1000
            if write is packed_again and (is_clear or last < low - 1000 or first > high + 1000):
                assert place not in cut


# Why: tiles of a running application are of earlier forms. They are read as they are, and a pack takes the new form when
# one of its days is folded anew: nothing has to be brought in again.
@pytest.mark.parametrize("write", [first_form, second_form])
def test_tiles_of_earlier_forms_answer_and_are_renewed_as_days_change(
    write: Callable[[Pack], dict[str, Any]],
) -> None:
    world = World(SUMS)
    for number in range(5):
        at = text_of(START_US - number * 86_400_000_000)
        world.change(f"{number}", {"at": at, "n": Decimal(f"{number}.25"), "colour": "red"})
    for item in world.client.scan(TableName="ClickTiles")["Items"]:
        key = {name: item[name] for name in ("entity", "day", "version")}
        world.client.put_item(TableName="ClickTiles", Item={**key, **write(pack_of(item))})
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
    for item in world.client.scan(TableName="ClickTiles")["Items"]:
        assert "ends" in orjson.loads(item["form"]["S"])
    raw = read(world.client.query, Reader(SUMS), {"S": "w"}, START_US).measured
    assert TileReader(SUMS).read(world.call, "w", START_US) == raw


# Why: a feature that was declared after the tiles were made would be 0 for all of history, and nobody would see it.
def test_a_feature_that_a_pack_does_not_know_is_refused_for_all() -> None:
    unknowing = kept(packed((), {1: Day(1, 0, 0, {})}))
    none = numpy.zeros(2, dtype=numpy.bool_)
    knowing = kept(packed(MEASURES, folded({1: [Decimal(1)]})))
    for made in (PackSums, FewPacks):
        found: Packs = made(2, [(0, knowing), (1, unknowing)])
        with pytest.raises(UsageError, match="another name"):
            list(found.parts(MEASURES[0], Days(range(3), none, none)))
        assert not list(found.parts(MEASURES[0], Days(range(2, 3), none, none)))


# Why: an item that is no pack is damage, not a customer without purchases.
def test_an_item_without_rows_is_damage() -> None:
    with pytest.raises(Corruption, match="neither"):
        PackSums(1, [(0, Packed())])
