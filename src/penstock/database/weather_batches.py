"""Batches that are done in part: some of what was asked comes back as unprocessed, or as a statement's own error.

B1. At least one part is done: AWS refuses a batch of which it can do nothing as a whole, and that is throttling.
B2. What is done is decided by the action itself, from the request without the rest: nothing of the rest is written,
    counted or read.
"""

from __future__ import annotations

from typing import Any

import orjson

from penstock.database.actions import Action
from penstock.database.weather import Draws
from penstock.database.weather_throttling import ON_DEMAND_TABLE
from penstock.engine.plans import Context, Plan, Request

BATCHES = frozenset({"BatchGetItem", "BatchWriteItem", "BatchExecuteStatement"})
LEFT = 0.5  # How much of a batch is left undone, more or less.


def in_part(name: str, action: Action, request: Request, seen: Context, draws: Draws, whole: Plan) -> Plan:
    """The plan of a part of the batch, whose plan is `whole`; `whole` itself where there is nothing to leave."""
    if name == "BatchExecuteStatement":
        return _statements(action, request, seen, draws, whole)
    return _items(name, action, request, seen, draws, whole)


def _items(name: str, action: Action, request: Request, seen: Context, draws: Draws, whole: Plan) -> Plan:
    asked = request["RequestItems"]
    keys = name == "BatchGetItem"
    places = [
        (table, at) for table, each in asked.items() for at in range(len(each["Keys"] if keys else each))
    ]
    left = _left(len(places), draws)
    if not left:
        return whole
    done: dict[str, Any] = {}
    undone: dict[str, Any] = {}
    for number, (table, at) in enumerate(places):
        into = undone if number in left else done
        if keys:
            into.setdefault(table, {**asked[table], "Keys": []})["Keys"].append(asked[table]["Keys"][at])
        else:
            into.setdefault(table, []).append(asked[table][at])
    plan = _run(action, {**request, "RequestItems": done}, seen)
    reply = orjson.loads(plan.reply)
    member = reply["UnprocessedKeys" if keys else "UnprocessedItems"]
    for table, each in undone.items():
        if table not in member:
            member[table] = each
        elif keys:
            member[table]["Keys"] += each["Keys"]
        else:
            member[table] += each
    plan.reply = orjson.dumps(reply)
    return plan


def _statements(action: Action, request: Request, seen: Context, draws: Draws, whole: Plan) -> Plan:
    answers = orjson.loads(whole.reply)["Responses"]
    sound = [at for at, answer in enumerate(answers) if "Error" not in answer]
    left = {sound[place] for place in _left(len(sound), draws)}
    if not left:
        return whole
    statements = [one for at, one in enumerate(request["Statements"]) if at not in left]
    plan = _run(action, {**request, "Statements": statements}, seen)
    reply = orjson.loads(plan.reply)
    done = iter(reply["Responses"])
    refused = {"Code": "ThrottlingError", "Message": ON_DEMAND_TABLE}
    reply["Responses"] = [
        {"TableName": answer["TableName"], "Error": refused} if at in left else next(done)
        for at, answer in enumerate(answers)
    ]
    plan.reply = orjson.dumps(reply)
    return plan


def _left(count: int, draws: Draws) -> set[int]:
    """Which of so many parts stay undone: never all of them."""
    left = {at for at in range(count) if draws.part("left", at.to_bytes(4, "big")) < LEFT}
    if left and len(left) == count:
        left.discard(draws.whole("done", 0, count - 1))
    return left


def _run(action: Action, request: Request, seen: Context) -> Plan:
    plan = action(request, seen)
    assert isinstance(plan, Plan), "batches are decided in one slice"
    return plan
