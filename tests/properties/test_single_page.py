"""A page column by column gives the bits that rows one by one give, or says that it is not for it."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shop import MemoryClient

from penstock import (
    App,
    at_least,
    count,
    distinct,
    least,
    mean,
    most,
    share,
    since_first,
    since_last,
    std,
    total,
)
from penstock import top as top_of
from penstock.features.definition import Values, compile_set, measure_rows
from penstock.features.instants import DAY_US, text_of
from penstock.features.online import Observed, Reader, read
from penstock.features.single_page import PageMeasures
from penstock.testing.clock import START_US
from penstock.testing.databases import MemoryDatabase

APP = App("page")
EVENTS = APP.table("Events", partition_key="who", sort_key="id", local_indexes={"by_time": "at"})
RED = {"colour": "red"}
FEATURES: dict[str, Any] = {
    "since": since_last(),
    "since_red": since_last(where=RED, days=9),
    "begun": since_first(days=7),
    "n": count(days=2),
    "n_big": count(days=7, where={"n": at_least(10)}),
    "sum": total("n", days=7),
    "sum_red": total("n", days=2, where=RED),
    "mean": mean("n", days=2),
    "std": std("n", days=7),
    "least": least("n", days=7),
    "most": most("n", days=2),
    "share": share("n", days=7, where=RED),
    "colours": distinct("colour", days=7),
    "top": top_of("colour", days=2, where={"n": at_least(0)}),
}
PLAN = compile_set(APP.features("f", source=EVENTS, entity="who", time="at", features=FEATURES))
SOURCE = PLAN.sources[0]

_backs = st.one_of(
    st.integers(-DAY_US, 9 * DAY_US),
    st.sampled_from([days * DAY_US + by for days in (0, 2, 7) for by in (-1, 0, 1)]),
)
_numbers = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-100, max_value=100).map(
        lambda n: {"N": str(n)}
    ),
    st.sampled_from([{"N": "1E-100"}, {"N": "9.99E+120"}, {"S": "12"}, {"NULL": True}]),
)
_items = st.builds(
    lambda back, number, colour: (
        {"who": {"S": "w"}, "id": {"S": "i"}, "at": {"S": text_of(START_US - back)}}
        | ({} if number is None else {"n": number})
        | ({} if colour is None else {"colour": {"S": colour}})
    ),
    _backs,
    st.one_of(st.none(), _numbers),
    st.sampled_from([None, "red", "blue"]),
)


def by_rows(items: list[dict[str, Any]], at_us: int) -> Values:
    rows = [row for item in items if (row := SOURCE.row(item)) is not None and row[0] <= at_us]
    measured: Values = {}
    measure_rows(SOURCE, rows, at_us, measured)
    return measured


# Why: there are two ways to one answer, and training computes neither of them: all must agree to the bit.
@settings(max_examples=300, deadline=None)
@given(st.lists(_items, max_size=12), st.sampled_from([-1, 0, 1]), st.booleans())
def test_columns_give_the_bits_that_rows_give(items: list[dict[str, Any]], by: int, unparsed: bool) -> None:
    at_us = START_US + by
    items.sort(key=lambda item: str(item["at"]["S"]))
    measured: Values = {}
    page = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
    answer: Any = orjson.dumps(page) if unparsed else page
    page_of = PageMeasures(SOURCE)
    found = page_of.measure(page_of.read(answer).Items, at_us, measured)
    inside = [item for item in items if item["at"]["S"] <= text_of(at_us)]
    if not inside:
        assert found is None  # Where `since_last` finds nothing, the index is asked again.
    elif found is None:
        assert {"NULL": True} in [item.get("n") for item in inside]  # Compared, and neither text nor number.
    else:
        assert found == len(inside)
        assert measured == by_rows(items, at_us)


# Names that DynamoDB takes, and that something on the way could read as more than a name.
_awkward = st.one_of(
    st.sampled_from(
        ['am"ount', "back\\slash", "\t", "\x00", "\x7f", "é 😀", " ", "#a", ":l", "class", "a.b[0]", "$", "'"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
)


# Why: an attribute may have any name, and a quote in one ended the start of the application. In every place that names one,
# over a table, with pages that were parsed and with pages as JSON.
@settings(max_examples=60, deadline=None)
@given(st.lists(_awkward, min_size=5, max_size=5, unique=True))
def test_an_attribute_of_any_name_is_read(names: list[str]) -> None:
    parsed, unparsed = observed(names)
    assert parsed.measured == {"sum": 6.0, "share": 4 / 6, "big": 3, "top": "red", "since": 0.0}
    assert [unparsed, *observed(["who", "id", "at", "n", "colour"])] == [parsed] * 3


def observed(names: list[str]) -> list[Observed]:
    """One entity's four events with attributes of these names, from parsed and from unparsed pages."""
    who, id_, at, number, colour = names
    app = App("awkward")
    events = app.table(
        "Events", partition_key=f"{who}:S", sort_key=f"{id_}:S", local_indexes={"by_time": f"{at}:S"}
    )
    features = {
        "sum": total(number, days=7),
        "share": share(number, days=7, where={colour: "red"}),
        "big": count(days=7, where={number: at_least(1)}),
        "top": top_of(colour, days=7),
        "since": since_last(days=7),
    }
    reader = Reader(compile_set(app.features("f", source=events, entity=who, time=at, features=features)))
    client = MemoryClient(MemoryDatabase())
    app.bind(client)
    client.create_table(**events.definition())
    for place in range(4):
        item = {who: "w", id_: str(place), at: text_of(START_US - place * DAY_US), number: place}
        events.put(item | ({colour: "red"} if place % 2 else {}))
    return [
        read(client.query, reader, {"S": "w"}, START_US),
        read(lambda **request: orjson.dumps(client.query(**request)), reader, {"S": "w"}, START_US),
    ]


_odd_times = st.sampled_from(
    [
        "2026-11-20T10:00:00Z",
        "2026-11-20T10:00:00.1234567Z",
        "2026-11-20T10:00:00.12345Z",
        "2026-W47-5T10:00:00.123456Z",
        "2026-11-20 10:00:00.123456Z",
        "2026-11-20T10:00:00,123456Z",
        "20261120T100000.123456+0000",
        "2026-11-31T10:00:00.000000Z",
        "2026-11-20",
        "soon",
    ]
)


# Why: P2. Texts of 26 and 28 characters beside each other must not pass as two of 27.
@given(st.lists(st.one_of(_odd_times, st.just(text_of(START_US))), max_size=5), _odd_times, st.randoms())
def test_a_page_with_another_form_of_time_is_left_to_rows(times: list[str], odd: str, random: Any) -> None:
    times.append(odd)
    random.shuffle(times)
    items = [{"at": {"S": time}} for time in times]
    page_of = PageMeasures(SOURCE)
    for answer in ({"Items": items}, orjson.dumps({"Items": items})):
        assert page_of.measure(page_of.read(answer).Items, START_US, {}) is None


# Why: through the table: what the columns refuse is read row by row from the same answer, and a skipped row is counted.
def test_an_odd_row_changes_the_way_and_not_the_answer() -> None:
    client = MemoryClient(MemoryDatabase())
    APP.bind(client)
    client.create_table(**EVENTS.definition())
    for number in range(5):
        at = text_of(START_US - number * DAY_US)
        EVENTS.put({"who": "w", "id": str(number), "at": at, "n": number, "colour": "red"})
    asked: list[dict[str, Any]] = []

    def query(**request: Any) -> dict[str, Any]:
        asked.append(request)
        answer: dict[str, Any] = client.query(**request)
        return answer

    reader = Reader(PLAN)
    before = read(query, reader, {"S": "w"}, START_US)
    odd = text_of(START_US - DAY_US)[:11] + "99:00:00.000000Z"
    EVENTS.put({"who": "w", "id": "odd", "at": odd, "n": 1, "colour": "red"})
    after = read(query, reader, {"S": "w"}, START_US)
    assert (before.skipped, after.skipped) == (0, 1)
    assert after.measured == before.measured
    assert (before.events, after.events, len(asked)) == (5, 5, 2)
