"""Penstock's own actions, which AWS does not have. They are called as the others are, and decide nothing about items.

    Penstock.Explain      {"Action": "Query", "Request": {…}, "PerSecond": 1}
                          → what it reads, writes, consumes and costs (database/explain.py); nothing is written
    Penstock.Checkpoint   {}  →  {"Path": "/srv/data/checkpoint"}
                          a consistent copy beside the data, of hard links, in place of the last one

O1. Explain is for everybody who may call the action that it explains: it reads what that would read.
O2. Checkpoint is for who has the data directory's files already: in this process or on the directory's socket. The
    edge refuses it on TCP (wire/dispatch.py), because it replaces files and tells where they are.
O3. A checkpoint is made between two requests, on the database's thread: what it holds was never seen half done.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict
from pathlib import Path

import orjson

from penstock import errors
from penstock.database.actions import ITEM_ACTIONS, OWN, Action
from penstock.database.explain import explain
from penstock.engine.plans import Context, Plan, Request, Slices
from penstock.errors import StoreUnavailable
from penstock.store.interface import Store

CHECKPOINT_FOLDER = "checkpoint"


def with_own(actions: dict[str, Action], store: Store, folder: Path | None) -> dict[str, Action]:
    """The actions and ours. `folder` is the data directory, None where there is none."""

    def run_explain(request: Request, context: Context) -> Slices:
        return _explain(actions, request, context)

    def run_checkpoint(request: Request, context: Context) -> Plan:
        return _checkpoint(store, folder)

    return {**actions, OWN + "Explain": run_explain, OWN + "Checkpoint": run_checkpoint}


def _explain(actions: dict[str, Action], asked: Request, context: Context) -> Slices:
    action, request, per_second = asked.get("Action"), asked.get("Request"), asked.get("PerSecond", 1)
    if not isinstance(action, str) or action not in ITEM_ACTIONS:
        raise errors.validation(f"Action is one of {', '.join(sorted(ITEM_ACTIONS))}")
    if not isinstance(request, dict):
        raise errors.validation(f"Request is the request of {action}, as an object")
    if isinstance(per_second, bool) or not isinstance(per_second, int | float):
        raise errors.validation("PerSecond is a number")
    if not (math.isfinite(per_second) and per_second >= 0):
        raise errors.validation("PerSecond is zero or more")
    explanation, reads = yield from explain(actions, context, action, request, float(per_second))
    members = {_capitalised(name): value for name, value in asdict(explanation).items()}
    return Plan(reply=orjson.dumps(members), reads=reads)


def _capitalised(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _checkpoint(store: Store, folder: Path | None) -> Plan:
    if folder is None:
        raise errors.validation("A database in memory has no files to make a checkpoint of")
    place = folder.resolve() / CHECKPOINT_FOLDER
    try:
        if place.exists():
            shutil.rmtree(place)
        store.checkpoint(place)
    except OSError as error:
        raise StoreUnavailable(f"no checkpoint could be made: {error}") from error
    return Plan(reply=orjson.dumps({"Path": str(place)}))
