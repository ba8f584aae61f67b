"""Answers that leave together: after they are settled, in their order, settled once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from penstock.serving.outbox import Answer, Outbox


class Wire:
    """What happened, in its order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.outbox = Outbox(self.settle)

    def settle(self, owed: Sequence[str]) -> list[Answer]:
        self.events.append(f"settled {' '.join(owed)}")
        return [(503, b"no") if name == "refused" else (200, b"yes") for name in owed]

    def put(self, name: str) -> None:
        self.outbox.put(lambda status, body: self.events.append(f"{name} {status} {body.decode()}"), name)


# Why: O1. An answer that leaves before its row is one that `kill -9` makes a lie.
def test_the_answers_of_a_turn_are_settled_together_before_they_leave() -> None:
    async def run() -> list[str]:
        wire = Wire()
        for name in ("a", "refused", "c"):
            wire.put(name)
        assert wire.events == []
        await asyncio.sleep(0)
        wire.put("d")
        await asyncio.sleep(0)
        return wire.events

    told = ["settled a refused c", "a 200 yes", "refused 503 no", "c 200 yes", "settled d", "d 200 yes"]
    assert asyncio.run(run()) == told


# Why: a server that stops flushes by itself, and the turn of the loop that comes then has nothing left to do.
def test_flushing_twice_settles_and_sends_once() -> None:
    async def run() -> list[str]:
        wire = Wire()
        wire.put("a")
        wire.outbox.flush()
        await asyncio.sleep(0)
        return wire.events

    assert asyncio.run(run()) == ["settled a", "a 200 yes"]
