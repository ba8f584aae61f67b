"""Day tiles: the same answer as raw rows, from a few reads."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shop import MemoryClient

from penstock import App, count, distinct, last, mean, most, share, std, top, total
from penstock.features.definition import compile_set
from penstock.features.instants import DAY_US, text_of
from penstock.features.online import Reader, read
from penstock.features.tiles import TileMaker, TileReader, definition, dump, restore
from penstock.testing.clock import START_US
from penstock.testing.databases import MemoryDatabase

app = App("tiles")
clicks = app.table("Clicks", partition_key="who", sort_key="id", local_indexes={"by_time": "at"}, stream=True)
PLAN = compile_set(
    app.features(
        "clicker",
        source=clicks,
        entity="who",
        time="at",
        tiles="ClickTiles",
        features={
            "n_3": count(days=3),
            "n_hour": count(hours=1),
            "sum_7": total("n", days=7),
            "mean_7": mean("n", days=7),
            "std_7": std("n", days=7),
            "most_3": most("n", days=3),
            "last_7": last("colour", days=7),
            "top_7": top("colour", days=7),
            "distinct_3": distinct("colour", days=3),
            "share_7": share("n", where={"colour": "red"}, days=7),
        },
    )
)


class World:
    """The table, its tiles, and a consumer that makes them from the stream's records."""

    def __init__(self) -> None:
        self.db = MemoryDatabase()
        self.client = MemoryClient(self.db)
        app.bind(self.client)
        self.client.create_table(**clicks.definition())
        self.client.create_table(**definition("ClickTiles"))
        self.reads: list[str] = []
        self.maker = TileMaker(PLAN, self.call)

    def call(self, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.reads.append(action)
        answer: dict[str, Any] = getattr(self.client, action)(**request)
        return answer

    def change(self, id_: str, item: dict[str, Any] | None) -> None:
        """A write and what the stream would tell the consumer of it."""
        old = self.client.get_item(TableName="Clicks", Key={"who": {"S": "w"}, "id": {"S": id_}}).get("Item")
        if item is None:
            clicks.delete(who="w", id=id_)
        else:
            clicks.put({"who": "w", "id": id_, **item})
        new = self.client.get_item(TableName="Clicks", Key={"who": {"S": "w"}, "id": {"S": id_}}).get("Item")
        images = {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}
        self.maker.handle({"Records": [{"dynamodb": images}]})


_items = st.fixed_dictionaries(
    {
        "at": st.one_of(
            st.integers(0, 9 * DAY_US),
            st.sampled_from([days * DAY_US + by for days in range(9) for by in (-1, 0, 1)]),
        ).map(lambda back: text_of(START_US - back)),
        "n": st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-100, max_value=100),
        "colour": st.sampled_from(["red", "green", "blue"]),
    }
)


# Why: X2, over every aggregate that tiles serve: late events, corrections, deletions and questions at the edges of days.
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.one_of(st.none(), _items)), max_size=16),
    st.one_of(st.integers(-DAY_US, 2 * DAY_US), st.sampled_from([-1, 0, 1, DAY_US - 1, DAY_US])),
)
def test_tiles_give_the_bits_that_raw_rows_give(changes: list[Any], back: int) -> None:
    world = World()
    for id_, item in changes:
        world.change(id_, item)
    at_us = START_US - back
    raw = read(world.client.query, Reader(PLAN), {"S": "w"}, at_us).measured
    assert TileReader(PLAN).read(world.call, "w", at_us) == raw


# Why: what tiles are for: a thousand events a day, and the reads do not grow with them.
def test_a_hot_entity_costs_as_few_reads_as_any() -> None:
    world = World()
    for number in range(300):
        at = text_of(START_US - 3 * DAY_US + number)
        clicks.put({"who": "w", "id": f"{number}", "at": at, "n": Decimal(1), "colour": "red"})
    source = PLAN.sources[0]
    world.maker.make(source, "w", (START_US - 3 * DAY_US) // DAY_US)
    world.reads.clear()
    assert TileReader(PLAN).read(world.call, "w", START_US)["sum_7"] == 300.0
    assert world.reads.count("batch_get_item") == 1
    assert world.reads.count("query") <= 5


# Why: a part that changes on its way through the table would change answers.
@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.integers(),
            st.decimals(allow_nan=False, allow_infinity=False),
            st.text(),
            st.binary(),
        ),
        lambda inner: st.lists(inner, max_size=3).map(tuple),
        max_leaves=5,
    )
)
def test_parts_survive_being_written(part: Any) -> None:
    assert restore(dump(part)) == part
