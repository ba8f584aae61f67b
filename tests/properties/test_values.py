"""Values for every input: canonical form is a fixed point, sizes agree, and no tree at all breaks the door."""

from __future__ import annotations

import base64
import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ServiceError
from penstock.model import values

NUMBERS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "-", "+", "00"]),
    st.integers(0, 10**20),
    st.sampled_from(["", ".0", ".50", "e5", "E-7"]),
)
BINARIES = st.binary(max_size=12).map(lambda content: base64.b64encode(content).decode())
SCALARS = st.one_of(
    st.builds(lambda text: {"S": text}, st.text(max_size=8)),
    st.builds(lambda text: {"N": text}, NUMBERS),
    st.builds(lambda text: {"B": text}, BINARIES),
    st.builds(lambda flag: {"BOOL": flag}, st.booleans()),
    st.just({"NULL": True}),
    st.builds(lambda members: {"SS": members}, st.lists(st.text(max_size=4), min_size=1, unique=True)),
    st.builds(lambda members: {"BS": members}, st.lists(BINARIES, min_size=1, unique=True)),
    st.builds(
        lambda members: {"NS": [f"{member}.0" for member in members]},
        st.lists(st.integers(-(10**30), 10**30), min_size=1, unique=True),
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda elements: {"L": elements}, st.lists(inner, max_size=4)),
        st.builds(lambda members: {"M": members}, st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    ),
    max_leaves=12,
)
ITEMS = st.dictionaries(st.text(max_size=6), VALUES, max_size=6)

TAGS = st.sampled_from(["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M", "X"])
ANY_JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=4), BINARIES
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TAGS, inner, max_size=2)),
    max_leaves=10,
)


# Both walks must agree on what an item weighs, or counters and pages drift apart.
@given(ITEMS)
def test_canonical_form_is_a_fixed_point_and_its_sizes_agree(item: dict[str, Any]) -> None:
    size = values.check_item(item)
    once = copy.deepcopy(item)
    assert values.check_item(item) == size
    assert item == once
    assert values.item_size(once) == size
    assert values.same_item(once, item)


# Accept fast, explain slowly: whatever JSON comes, either it is made canonical or AWS's error comes out.
@given(st.dictionaries(st.text(max_size=3), ANY_JSON, max_size=3))
def test_any_json_at_all_is_made_canonical_or_refused(item: dict[str, Any]) -> None:
    try:
        size = values.check_item(item)
    except ServiceError as error:
        refusal: tuple[str, bool] | None = (error.code, bool(error.message))
    else:
        refusal = None
        assert values.item_size(item) == size
    assert refusal in (None, ("ValidationException", True), ("SerializationException", True))


# Lists of values are shuffled copies of one another as far as sets go.
@given(ITEMS, st.randoms(use_true_random=False))
def test_an_item_is_the_same_with_its_sets_shuffled(item: dict[str, Any], random: Any) -> None:
    values.check_item(item)
    other = copy.deepcopy(item)
    for value in other.values():
        for tag, members in value.items():
            if tag in ("SS", "NS", "BS"):
                random.shuffle(members)
    assert values.same_item(item, other)
