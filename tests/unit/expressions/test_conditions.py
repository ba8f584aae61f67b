"""What a condition says of an item, type by type."""

from __future__ import annotations

import pytest

from penstock.expressions.conditions import compile_condition
from penstock.model.values import AttributeValue, Item

ITEM: Item = {
    "s": {"S": "hello"},
    "clef": {"S": "𝄞"},
    "n": {"N": "10"},
    "big": {"N": "12345678901234567890123456789012345678"},
    "b": {"B": "AQID"},  # 1 2 3
    "t": {"BOOL": True},
    "nil": {"NULL": True},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2.5"]},
    "bs": {"BS": ["AQ==", "Ag=="]},
    "l": {"L": [{"S": "x"}, {"N": "1"}, {"SS": ["q", "p"]}, {"L": [{"M": {"k": {"S": "deep"}}}]}]},
    "m": {"M": {"x": {"N": "1"}, "sets": {"NS": ["1", "2"]}}},
    "a.b": {"S": "dotted"},
}
VALUES: dict[str, AttributeValue] = {
    ":hello": {"S": "hello"},
    ":he": {"S": "he"},
    ":ell": {"S": "ell"},
    ":z": {"S": "z"},
    ":empty": {"S": ""},
    ":10": {"N": "10"},
    ":9": {"N": "9"},
    ":100": {"N": "100"},
    ":big": {"N": "12345678901234567890123456789012345678"},
    ":big1": {"N": "12345678901234567890123456789012345677"},
    ":b": {"B": "AQID"},
    ":b12": {"B": "AQI="},
    ":b23": {"B": "AgM="},
    ":b9": {"B": "CQ=="},
    ":ba": {"B": "Ag=="},
    ":true": {"BOOL": True},
    ":false": {"BOOL": False},
    ":null": {"NULL": True},
    ":ssba": {"SS": ["b", "a"]},
    ":ssa": {"SS": ["a"]},
    ":a": {"S": "a"},
    ":1": {"N": "1"},
    ":2": {"N": "2"},
    ":3": {"N": "3"},
    ":5": {"N": "5"},
    ":x": {"S": "x"},
    ":pq": {"SS": ["p", "q"]},
    ":deep": {"S": "deep"},
    ":m": {"M": {"sets": {"NS": ["2", "1"]}, "x": {"N": "1"}}},
    ":m2": {"M": {"x": {"N": "1"}}},
    ":l": {"L": [{"S": "x"}, {"N": "1"}, {"SS": ["p", "q"]}, {"L": [{"M": {"k": {"S": "deep"}}}]}]},
    ":S": {"S": "S"},
    ":NULL": {"S": "NULL"},
}

TRUE = [
    "s = :hello",
    "s <> :z",
    "s <> :10",
    "absent <> :10",
    "absent <> s",
    "n = :10",
    "n > :9",
    "n < :100",  # By value, not by text.
    "big > :big1",
    "s >= :hello AND s <= :hello",
    "s > :he",
    "b > :b12",
    "b < :b9",
    "t = :true",
    "t <> :false",
    "nil = :null",
    "ss = :ssba",  # Sets have no order.
    "ss <> :ssa",
    "m = :m",  # Also inside maps
    "l = :l",  # and lists.
    "m <> :m2",
    "l[2] = :pq",
    "l[3][0].k = :deep",
    "m.x = l[1]",
    "#dotted = :dotted",
    "n BETWEEN :9 AND :10",
    "n BETWEEN :9 AND m.x OR n BETWEEN :10 AND :10",
    ":10 BETWEEN m.x AND n",
    "s BETWEEN :he AND :z",
    "n IN (:9, :10)",
    "s IN (:z, s.x, :hello)",
    "ss IN (:ssa, :ssba)",
    "ss IN (:hello, :ssba)",
    "m.x IN (:x, l[1])",
    "attribute_exists(s)",
    "attribute_exists(l[3][0].k)",
    "attribute_not_exists(absent)",
    "attribute_not_exists(s.x)",
    "attribute_not_exists(l[4])",
    "attribute_not_exists(l.x)",
    "attribute_not_exists(m[0])",
    "attribute_not_exists(l[9].x.y)",
    "attribute_type(s, :S)",
    "attribute_type(nil, :NULL)",
    "begins_with(s, :he)",
    "begins_with(s, :empty)",
    "begins_with(b, :b12)",
    "contains(s, :ell)",
    "contains(ss, :a)",
    "contains(ns, :1)",
    "contains(bs, :ba)",
    "contains(b, :b23)",
    "contains(l, :x)",
    "contains(l, :pq)",
    "contains(:hello, :ell)",
    "size(s) = :5",
    "size(b) = :3",
    "size(ss) = :2",
    "size(m) = :2",
    "size(l) > :3",
    "size(clef) = :2",  # Two UTF-16 units.
    "size(s) > size(b)",
    "size(l[2]) = :2",
    "NOT s = :z",
    "NOT (s = :z OR n = :9)",
    "NOT NOT s = :hello",
    "s = :z OR n = :10 AND t = :true",
    "(s = :hello OR n = :9) AND t = :true",
    "s = :hello AND n = :10 AND t = :true AND nil = :null",
    "s = :z OR n = :9 OR t = :true",
    ":hello = s",
    ":9 < n",
]

FALSE = [
    "s = :z",
    "s = :10",
    "absent = :10",
    "absent = gone",
    "s < :10",  # No order between types.
    "n < :hello",
    "NOT s <> :z",
    "n > :10",
    "absent < :10",
    "absent <= gone",
    "big < :big1",
    "t = :false",
    "t > n",  # BOOL has no order, whatever stands on the right.
    "ss > b",
    "ss = :ssa",
    "s.x = :x",
    "l[7] = :x",
    "n BETWEEN :1 AND :9",
    "s BETWEEN :1 AND :9",
    "absent BETWEEN :1 AND :9",
    "n IN (:1, :9)",
    "s IN (:1, :9)",
    "absent IN (:1, gone)",
    "l IN (:ssa, :m)",
    "attribute_exists(absent)",
    "attribute_exists(s[0])",
    "attribute_not_exists(s)",
    "attribute_type(n, :S)",
    "attribute_type(absent, :S)",
    "begins_with(s, :ell)",
    "begins_with(n, :he)",
    "begins_with(absent, :he)",
    "begins_with(s, :b)",
    "contains(s, :z)",
    "contains(s, :1)",
    "contains(n, :1)",
    "contains(ss, :1)",
    "contains(ss, :ssa)",
    "contains(ns, :10)",
    "contains(m, :x)",
    "contains(absent, :x)",
    "size(n) = :2",  # Numbers have no size,
    "size(n) < :2",  # however it is compared,
    "size(absent) = :1",
    "size(t) = :1",
    "NOT NOT s = :z",
    "s = :hello AND n = :9",
    "s = :hello AND n = :10 AND t = :false",
    "NOT (s = :hello AND n = :10)",
]


def _holds(text: str) -> bool:
    names = {"#dotted": "a.b"} if "#" in text else None
    values = VALUES | {":dotted": AttributeValue(S="dotted")}
    return compile_condition(text, names, values).test(ITEM)


@pytest.mark.parametrize("text", TRUE)
def test_it_holds(text: str) -> None:
    assert _holds(text) is True


@pytest.mark.parametrize("text", FALSE)
def test_it_does_not_hold(text: str) -> None:
    assert _holds(text) is False


# Why: a condition on an item that is not there tests an empty one.
def test_an_item_that_is_not_there_has_no_attribute() -> None:
    assert compile_condition("attribute_not_exists(pk)", None, None).test({})
    assert not compile_condition("pk = :v", None, {":v": {"S": "x"}}).test({})


# Why: operations join these for unused placeholders, key attributes in filters and limits.
def test_a_condition_knows_what_it_reads() -> None:
    condition = compile_condition(
        "#a = :x AND begins_with(b.c, :y) OR size(d[0]) > :z",
        {"#a": "pk", "#unused": "q"},
        {":x": {"S": ""}, ":y": {"S": ""}, ":z": {"N": "1"}, ":w": {"N": "1"}},
        "FilterExpression",
    )
    assert condition.used_names == {"#a"}
    assert condition.used_values == {":x", ":y", ":z"}
    assert condition.attributes == {"pk", "b", "d"}
    assert condition.nested == {"b", "d"}
    assert condition.operators == 6
