"""What an update makes of an item, and how it fails when the item is not as it expects."""

from __future__ import annotations

import copy

import pytest

from penstock.errors import ServiceError
from penstock.expressions.updates import compile_update, project_updated
from penstock.model.values import AttributeValue, Item

ITEM: Item = {
    "pk": {"S": "k"},
    "n": {"N": "10"},
    "s": {"S": "text"},
    "l": {"L": [{"S": "0"}, {"S": "1"}, {"S": "2"}]},
    "m": {"M": {"x": {"N": "1"}, "l": {"L": [{"N": "7"}, {"M": {"y": {"N": "8"}}}]}}},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2"]},
}
VALUES: dict[str, AttributeValue] = {
    ":s": {"S": "new"},
    ":t": {"S": "other"},
    ":1": {"N": "1"},
    ":h": {"N": "0.5"},
    ":max": {"N": "9" * 38 + "0" * 88},
    ":tiny": {"N": "0." + "0" * 129 + "1"},
    ":ss": {"SS": ["b", "c"]},
    ":ab": {"SS": ["a", "b"]},
    ":ns": {"NS": ["2", "3"]},
    ":l": {"L": [{"S": "9"}]},
    ":e": {"L": []},
}


def _updated(text: str) -> Item:
    before = copy.deepcopy(ITEM)
    after = compile_update(text, None, VALUES).apply(ITEM)
    assert before == ITEM, "the item given was changed"
    return after


def _strings(*texts: str) -> AttributeValue:
    return {"L": [{"S": text} for text in texts]}


CHANGES: list[tuple[str, Item]] = [
    ("SET s = :s", {"s": {"S": "new"}}),
    ("SET a = :s, b = s", {"a": {"S": "new"}, "b": {"S": "text"}}),
    # All right sides are of the item as it was.
    ("SET s = n, n = s", {"s": {"N": "10"}, "n": {"S": "text"}}),
    ("SET n = n + :1", {"n": {"N": "11"}}),
    ("SET n = n - :h", {"n": {"N": "9.5"}}),
    ("SET n = :1 - n", {"n": {"N": "-9"}}),
    ("SET n = (n + m.x)", {"n": {"N": "11"}}),
    ("SET n = :max - :max", {"n": {"N": "0"}}),
    ("SET a = if_not_exists(a, :1) + :1", {"a": {"N": "2"}}),
    ("SET n = if_not_exists(n, :1)", {}),
    ("SET a = if_not_exists(x, if_not_exists(y, s))", {"a": {"S": "text"}}),
    ("SET l = list_append(l, :l)", {"l": _strings("0", "1", "2", "9")}),
    ("SET l = list_append(:l, l)", {"l": _strings("9", "0", "1", "2")}),
    ("SET a = list_append(if_not_exists(a, :e), :l)", {"a": _strings("9")}),
    ("SET l[1] = :s", {"l": _strings("0", "new", "2")}),
    ("SET l[7] = :s", {"l": _strings("0", "1", "2", "new")}),
    # Past the end they are appended in the order of their indexes.
    ("SET l[9] = :s, l[5] = :t", {"l": _strings("0", "1", "2", "other", "new")}),
    ("SET l[0] = l[2], l[2] = l[0]", {"l": _strings("2", "1", "0")}),
    ("SET m.x = :s", {"m": {"M": {**ITEM["m"]["M"], "x": {"S": "new"}}}}),
    ("SET m.z = :s", {"m": {"M": {**ITEM["m"]["M"], "z": {"S": "new"}}}}),
    (
        "SET m.l[1].y = m.l[1].y + :1, m.l[0] = :s",
        {"m": {"M": {"x": {"N": "1"}, "l": {"L": [{"S": "new"}, {"M": {"y": {"N": "9"}}}]}}}},
    ),
    ("REMOVE s", {"s": {}}),
    ("REMOVE absent, m.absent, l[9]", {}),
    ("REMOVE l[0]", {"l": _strings("1", "2")}),
    # Every index is of the list as it was.
    ("REMOVE l[0], l[1]", {"l": _strings("2")}),
    ("REMOVE l[2], l[0] SET l[1] = :s, l[3] = :t", {"l": _strings("new", "other")}),
    (
        "REMOVE m.l[0] SET m.l[1].y = :s",
        {"m": {"M": {"x": {"N": "1"}, "l": {"L": [{"M": {"y": {"S": "new"}}}]}}}},
    ),
    ("ADD n :1", {"n": {"N": "11"}}),
    ("ADD a :1", {"a": {"N": "1"}}),
    ("ADD a :ss", {"a": {"SS": ["b", "c"]}}),
    ("ADD ss :ss", {"ss": {"SS": ["a", "b", "c"]}}),
    ("ADD ns :ns, m.x :1", {"ns": {"NS": ["1", "2", "3"]}, "m": {"M": {**ITEM["m"]["M"], "x": {"N": "2"}}}}),
    ("ADD l[5] :1", {"l": {"L": [*ITEM["l"]["L"], {"N": "1"}]}}),
    ("DELETE ss :ss", {"ss": {"SS": ["a"]}}),
    ("DELETE ss :ab", {"ss": {}}),  # A set without members does not exist.
    ("DELETE absent :ss, m.absent :ss, l[9] :ss", {}),
]


@pytest.mark.parametrize(("text", "changes"), CHANGES)
def test_an_update_changes_this_and_nothing_else(text: str, changes: Item) -> None:
    expected = {name: value for name, value in {**ITEM, **changes}.items() if value}
    assert _updated(text) == expected


TYPE = "An operand in the update expression has an incorrect data type"
MISSING = "The provided expression refers to an attribute that does not exist in the item"
PATH = "The document path provided in the update expression is invalid for update"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"

FAILURES = [
    ("SET a = absent", MISSING),
    ("SET a = absent + :1", MISSING),
    ("SET a = n + absent", MISSING),
    ("SET a = m.x.y", MISSING),
    ("SET a = l[9]", MISSING),
    ("SET a = list_append(absent, :l)", MISSING),
    ("SET a = if_not_exists(absent, gone)", MISSING),
    ("SET n = s + :1", TYPE),
    ("SET n = :1 - s", TYPE),
    ("SET l = list_append(l, s)", TYPE),
    ("SET l = list_append(s, l)", TYPE),
    ("ADD s :1", TYPE),
    ("ADD n :ss", TYPE),
    ("ADD ss :ns", TYPE),
    ("DELETE ss :ns", TYPE),
    ("DELETE n :ss", TYPE),
    ("ADD l :ss", TYPE),
    ("SET absent.a = :s", PATH),
    ("SET m.absent.a = :s", PATH),
    ("SET absent[0] = :s", PATH),
    ("SET s.a = :s", PATH),
    ("SET s[0] = :s", PATH),
    ("SET m[0] = :s", PATH),
    ("SET l.a = :s", PATH),
    ("SET l[9].a = :s", PATH),
    ("REMOVE absent.a", PATH),
    ("REMOVE l.a", PATH),
    ("ADD absent.a :1", PATH),
    ("DELETE absent.a :ss", PATH),
    ("SET n = :max + :max", OVERFLOW),
    # Of several, AWS names a path through a wrong type, then a wrong type, then the last section's.
    ("SET a = absent, s.b = :s", PATH),
    ("SET a = absent, n = s + :1", TYPE),
    ("SET a = absent REMOVE gone.b", PATH),
    ("REMOVE gone.b SET a = absent", MISSING),
]


@pytest.mark.parametrize(("text", "message"), FAILURES)
def test_an_item_that_does_not_fit_is_reported_in_the_words_of_aws(text: str, message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        _updated(text)
    assert raised.value.code == "ValidationException"
    assert raised.value.message == message


# Why: 38 digits and no more; AWS refuses what would have to be rounded.
def test_arithmetic_is_exact_or_refused() -> None:
    update = compile_update("SET n = n + :v", None, {":v": {"N": "0.1"}})
    assert update.apply({"n": {"N": "1" * 36 + ".2"}})["n"] == {"N": "1" * 36 + ".3"}
    with pytest.raises(ServiceError) as raised:
        update.apply({"n": {"N": "1" * 38}})
    assert raised.value.message == "Attempting to store more than 38 significant digits in a Number"


# Why: UPDATED_OLD and UPDATED_NEW answer only what the update named, nested as it is, lists without gaps.
@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("SET n = :1, a = :s", {"n": {"N": "10"}}, {"n": {"N": "1"}, "a": {"S": "new"}}),
        ("REMOVE s, absent", {"s": {"S": "text"}}, {}),
        ("SET m.x = :s", {"m": {"M": {"x": {"N": "1"}}}}, {"m": {"M": {"x": {"S": "new"}}}}),
        ("SET l[2] = :s, l[0] = :t", {"l": _strings("0", "2")}, {"l": _strings("other", "new")}),
        (
            "SET m.l[1].y = :s",
            {"m": {"M": {"l": {"L": [{"M": {"y": {"N": "8"}}}]}}}},
            {"m": {"M": {"l": {"L": [{"M": {"y": {"S": "new"}}}]}}}},
        ),
        ("ADD ss :ss", {"ss": {"SS": ["a", "b"]}}, {"ss": {"SS": ["a", "b", "c"]}}),
        ("DELETE ss :ab", {"ss": {"SS": ["a", "b"]}}, {}),
    ],
)
def test_what_was_updated_is_answered_alone(text: str, old: Item, new: Item) -> None:
    update = compile_update(text, None, VALUES)
    assert project_updated(update, ITEM) == old
    assert project_updated(update, update.apply(ITEM)) == new


def test_an_update_knows_what_it_writes() -> None:
    update = compile_update(
        "SET #a.x = b + :v REMOVE c[0] ADD d :v", {"#a": "a", "#z": "z"}, {":v": {"N": "1"}, ":w": {"N": "1"}}
    )
    assert update.attributes == {"a", "c", "d"}
    assert update.paths == (("a", "x"), ("c", 0), ("d",))
    assert update.used_names == {"#a"}
    assert update.used_values == {":v"}
    assert update.nested == {"a", "c"}
    assert update.operators == 3


# Why: AWS makes no item out of an update that only takes away.
@pytest.mark.parametrize(
    ("text", "creates"),
    [("SET a = :s", True), ("ADD a :1", True), ("REMOVE a", False), ("DELETE a :ss", False)],
)
def test_only_set_and_add_create_an_item(text: str, creates: bool) -> None:
    assert compile_update(text, None, VALUES).creates is creates
