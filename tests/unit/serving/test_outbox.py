"""Answers that leave together: after their rows, in their order, with one write."""

from __future__ import annotations

import asyncio

from penstock.serving.outbox import Answer, Outbox


class Wire:
    """What happened, in its order."""

    def __init__(self, refusal: Answer | None = None) -> None:
        self.events: list[str] = []
        self.refusal = refusal
        self.outbox = Outbox(self.written)

    def written(self) -> Answer | None:
        self.events.append("written")
        return self.refusal

    def put(self, name: str) -> None:
        self.outbox.put(
            lambda status, body: self.events.append(f"{name} {status} {body.decode()}"), 200, b"yes"
        )


# Why: O1. An answer that leaves before its row is one that `kill -9` makes a lie.
def test_rows_are_written_once_before_the_answers_of_a_turn_leave() -> None:
    async def run() -> list[str]:
        wire = Wire()
        for name in ("a", "b", "c"):
            wire.put(name)
        assert wire.events == []
        await asyncio.sleep(0)
        wire.put("d")
        await asyncio.sleep(0)
        return wire.events

    assert asyncio.run(run()) == ["written", "a 200 yes", "b 200 yes", "c 200 yes", "written", "d 200 yes"]


# Why: O1. What the store refused is told to each of them.
def test_refused_rows_make_refusals_of_their_answers() -> None:
    async def run() -> list[str]:
        wire = Wire((503, b"no"))
        wire.put("a")
        wire.put("b")
        await asyncio.sleep(0)
        return wire.events

    assert asyncio.run(run()) == ["written", "a 503 no", "b 503 no"]


# Why: a server that stops flushes by itself, and the turn of the loop that comes then has nothing left to do.
def test_flushing_twice_writes_and_sends_once() -> None:
    async def run() -> list[str]:
        wire = Wire()
        wire.put("a")
        wire.outbox.flush()
        await asyncio.sleep(0)
        return wire.events

    assert asyncio.run(run()) == ["written", "a 200 yes"]
