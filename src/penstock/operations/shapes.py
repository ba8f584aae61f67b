"""The door through which every request passes: its shape first, then its values.

`check_shape` refuses wrong JSON types and broken constraints, and `canonicalise` makes every value canonical
in place. They are two calls because AWS has checks of its own between them; each operation calls both, in
AWS's order. After them a request has no null members at the top, the JSON types that its shape declares, and
canonical values.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from penstock.operations.accepting import Acceptor, Canonicaliser, acceptor, canonicaliser
from penstock.operations.dynamodb.shapes import ACTIONS as DYNAMODB_ACTIONS
from penstock.operations.findings import explain
from penstock.operations.kinds import Struct
from penstock.operations.streams.shapes import ACTIONS as STREAMS_ACTIONS


def shape_of(action: str) -> Struct:
    """The declared shape of an action's request."""
    shape = DYNAMODB_ACTIONS.get(action)
    return shape if shape is not None else STREAMS_ACTIONS[action]


def check_shape(action: str, request: Any) -> None:
    """Raise AWS's error where the request does not fit the action's shape; else leave it as AWS reads it."""
    if not _acceptor_of(action)(request):
        explain(shape_of(action), request)


def canonicalise(action: str, request: dict[str, Any]) -> int:
    """Make every value in the request canonical in place, or raise AWS's error about the first bad one.

    Returns the size of the Item or Key of an action on one item, as AWS counts it; of other actions nothing, as 0."""
    walk = _canonicaliser_of(action)
    size = walk(request) if walk is not None else 0
    return size if type(size) is int else 0


# Compiled on first use and kept: there are about thirty actions.


@cache
def _acceptor_of(action: str) -> Acceptor:
    return acceptor(shape_of(action))


@cache
def _canonicaliser_of(action: str) -> Canonicaliser | None:
    return canonicaliser(shape_of(action))
