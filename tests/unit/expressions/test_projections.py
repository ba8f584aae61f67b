"""Which parts of an item a projection chooses."""

from __future__ import annotations

import pytest

from penstock.expressions.projections import compile_projection
from penstock.model.values import Item

ITEM: Item = {
    "pk": {"S": "k"},
    "m": {"M": {"x": {"N": "1"}, "y": {"N": "2"}, "in": {"M": {"z": {"S": "deep"}}}}},
    "l": {"L": [{"S": "0"}, {"S": "1"}, {"M": {"a": {"N": "1"}, "b": {"N": "2"}}}]},
    "empty": {"M": {}},
}


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("pk", {"pk": {"S": "k"}}),
        ("pk, gone", {"pk": {"S": "k"}}),
        ("gone", {}),
        ("m.x", {"m": {"M": {"x": {"N": "1"}}}}),
        ("m.y, m.x, pk", {"m": {"M": {"x": {"N": "1"}, "y": {"N": "2"}}}, "pk": {"S": "k"}}),
        ("m.#in.z", {"m": {"M": {"in": {"M": {"z": {"S": "deep"}}}}}}),
        ("l[1]", {"l": {"L": [{"S": "1"}]}}),
        # Elements keep their order, whatever the order of the paths, and leave no gaps.
        ("l[2].b, l[0]", {"l": {"L": [{"S": "0"}, {"M": {"b": {"N": "2"}}}]}}),
        ("l[9]", {}),
        ("l[9], l[0]", {"l": {"L": [{"S": "0"}]}}),
        # Of what was not found nothing comes back, not even its container.
        ("m.gone", {}),
        ("m.gone.z, m.x.z, l.x, pk.x", {}),
        ("m[0], pk[0]", {}),
        ("#empty", {"empty": {"M": {}}}),
        ("l[2].gone", {}),
    ],
)
def test_a_projection_chooses_this(text: str, chosen: Item) -> None:
    names = {"#in": "in", "#empty": "empty"}
    assert compile_projection(text, names).apply(ITEM) == chosen


def test_a_projection_knows_what_it_reads() -> None:
    projection = compile_projection("#a.b, c[0], d", {"#a": "x", "#z": "z"})
    assert projection.attributes == {"x", "c", "d"}
    assert projection.nested == {"x", "c"}
    assert projection.used_names == {"#a"}
    assert projection.paths == (("x", "b"), ("c", 0), ("d",))
