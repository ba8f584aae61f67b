"""Predictions in step: none goes on before all have read, none is told before all are settled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from penstock.serving.outbox import Answer, Outbox


class Wire:
    """What happened, in its order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.outbox = Outbox(self.settle, self.told)

    def settle(self, owed: Sequence[str]) -> list[Answer]:
        self.events.append(f"settled {' '.join(owed)}")
        if "broken" in owed:
            raise RuntimeError("a bug of ours")
        return [(503, b"no") if name == "refused" else (200, b"yes") for name in owed]

    def told(self, owed: Sequence[str]) -> None:
        self.events.append(f"told {' '.join(owed)}")

    def put(self, name: str, *, steps: int = 1, leaves: bool = False) -> None:
        self.outbox.put(Going(self, name, steps, leaves))


class Going:
    """A prediction that has `steps` to go, or leaves the turn after them."""

    def __init__(self, wire: Wire, name: str, steps: int, leaves: bool) -> None:
        self._wire, self._name, self._steps, self._leaves = wire, name, steps, leaves
        self.owed: str | None = None if steps else name

    def go_on(self) -> bool:
        self._wire.events.append(f"{self._name} goes on")
        self._steps -= 1
        if self._leaves:
            return False
        if not self._steps:
            self.owed = self._name
        return True

    def send(self, status: int, body: bytes) -> None:
        self._wire.events.append(f"{self._name} {status} {body.decode()}")

    def fail(self) -> None:
        self._wire.events.append(f"{self._name} failed")


# Why: O1 and O3. An answer that leaves before its row is one that `kill -9` makes a lie; what nobody waits for comes last.
def test_the_predictions_of_a_turn_go_in_step() -> None:
    async def run() -> list[str]:
        wire = Wire()
        for name in ("a", "refused", "c"):
            wire.put(name)
        assert wire.events == []
        await asyncio.sleep(0)
        wire.put("d")
        await asyncio.sleep(0)
        return wire.events

    together = ["a goes on", "refused goes on", "c goes on", "settled a refused c"]
    sent = ["a 200 yes", "refused 503 no", "c 200 yes", "told a refused c"]
    assert asyncio.run(run()) == [*together, *sent, "d goes on", "settled d", "d 200 yes", "told d"]


# Why: O2. One may be done already, one have two rounds to read, and one have to wait; the others are not kept.
def test_who_waits_leaves_the_turn_and_who_has_further_to_go_goes_there() -> None:
    async def run() -> list[str]:
        wire = Wire()
        wire.put("done", steps=0)
        wire.put("waits", leaves=True)
        wire.put("far", steps=2)
        await asyncio.sleep(0)
        return wire.events

    gone = ["waits goes on", "far goes on", "far goes on"]
    assert asyncio.run(run()) == [*gone, "settled done far", "done 200 yes", "far 200 yes", "told done far"]


# Why: an error that nobody expected must leave none of its turn without an answer, and none of the next.
def test_all_of_a_turn_are_told_of_an_error_in_settling() -> None:
    async def run() -> list[str]:
        wire = Wire()
        wire.put("a", steps=0)
        wire.put("broken", steps=0)
        await asyncio.sleep(0)
        wire.put("b", steps=0)
        await asyncio.sleep(0)
        return wire.events

    failed = ["settled a broken", "a failed", "broken failed"]
    assert asyncio.run(run()) == [*failed, "settled b", "b 200 yes", "told b"]


# Why: a turn in which all had to wait has nothing to settle.
def test_nothing_is_settled_where_all_left() -> None:
    async def run() -> list[str]:
        wire = Wire()
        wire.put("waits", leaves=True)
        await asyncio.sleep(0)
        return wire.events

    assert asyncio.run(run()) == ["waits goes on"]
