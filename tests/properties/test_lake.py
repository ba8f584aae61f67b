"""Whatever is written, changed and deleted: `current` is the table, and so is a replay of `raw`."""

from __future__ import annotations

import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.lake_setup import TABLE, Shop, unordered

from penstock.lake import upkeep

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.decimals(-(10**6), 10**6, places=3).map(str),
    st.integers(10**37, 10**38 - 1).map(str),
    st.integers(1, 9).map(lambda digit: f"0.{'0' * 40}{digit}"),
)
binaries = st.binary(max_size=6).map(lambda content: b64encode(content).decode())
scalars: st.SearchStrategy[dict[str, Any]] = st.one_of(
    texts.map(lambda text: {"S": text}),
    numbers.map(lambda text: {"N": text}),
    binaries.map(lambda text: {"B": text}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.sets(texts, min_size=1, max_size=3).map(lambda members: {"SS": sorted(members)}),
    st.sets(st.integers(-99, 99), min_size=1, max_size=3).map(
        lambda each: {"NS": [str(one) for one in each]}
    ),
    st.sets(binaries, min_size=1, max_size=2).map(lambda members: {"BS": sorted(members)}),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda members: {"L": members}),
        st.dictionaries(texts, inner, max_size=3).map(lambda members: {"M": members}),
    ),
    max_leaves=5,
)
names = st.sampled_from(["a", "b", "B", "_extra", "a__n", "größe", "with space", 'qu"ote', "select"])
attributes = st.dictionaries(names, values, max_size=4)
keys = st.tuples(st.sampled_from(["c1", "c2"]), st.integers(0, 4))
actions = st.one_of(
    st.tuples(st.just("put"), keys, attributes),
    st.tuples(st.just("delete"), keys, st.none()),
    st.tuples(st.sampled_from(["land", "restart", "compact"]), st.none(), st.none()),
)


# Why: the types of schemaless items meet in more ways than a list of cases has.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(actions, max_size=30))
def test_current_and_a_replay_of_raw_are_the_table(steps: list[tuple[str, Any, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        sink = shop.sink()
        for step, key, made in steps:
            if step == "put":
                shop.put(*key, **made)
            elif step == "delete":
                shop.delete(*key)
            elif step == "land":
                sink.step()
            elif step == "restart":
                sink = shop.sink()
            else:
                upkeep.compact_current(sink.current, force=True)
                upkeep.compact_raw(sink.raw, force=True)
        shop.pass_time()
        shop.drain(sink)
        held = unordered(shop.items())
        assert unordered(shop.landed()) == held
        latest = f"{shop.database.clock.now_us() * 100_000:021d}"
        assert unordered(shop.landed(f"current.{TABLE} FOR SEQUENCE AS OF '{latest}'")) == held
