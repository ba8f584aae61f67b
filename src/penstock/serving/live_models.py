"""The models that predictors use right now. An alias that moves is followed within a second; no request waits for a load.

M1. What an alias says is never older than FRESH_S when it is used: after STALE_S it is asked again beside the requests, and
    a request that finds it older than FRESH_S waits for that one GetItem.
M2. A new version is loaded in a thread and then takes its place in one assignment: requests see the old one or the new one.
M3. A store that does not answer, or a version that does not load, leaves the one in use in use.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from penstock.errors import PenstockError, ServiceError
from penstock.models.artifacts import ArtifactFolder
from penstock.models.prediction import Model
from penstock.models.registry import (
    ModelMissing,
    Version,
    lookup,
    missing,
    read_content,
    split_name,
    version_of,
)
from penstock.models.runtime import IN_PROCESS, load_model
from penstock.serving.problems import model_unavailable, no_model
from penstock.serving.store import AsyncStore, is_missing

log = logging.getLogger("penstock.serving")

STALE_S, FRESH_S = 0.3, 0.8


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version in memory. `model` is None for formats that only a worker runs; `content` is there for those."""

    version: Version
    model: Model | None
    content: bytes


@dataclass(slots=True)
class _Slot:
    loaded: Loaded | None = None
    asked_s: float = float("-inf")
    refresh: asyncio.Task[None] | None = None
    failure: PenstockError | None = None


class LiveModels:
    """`get("will_buy@champion")`."""

    def __init__(
        self,
        store: AsyncStore,
        artifacts: ArtifactFolder | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._artifacts, self._monotonic_s = store, artifacts, monotonic_s
        self._slots: dict[str, _Slot] = {}

    async def get(self, name: str) -> Loaded:
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = _Slot()
        age_s = self._monotonic_s() - slot.asked_s
        if slot.loaded is not None and age_s < FRESH_S:
            if age_s > STALE_S:
                self._refresh(name, slot)
            return slot.loaded
        await asyncio.shield(self._refresh(name, slot))
        if slot.loaded is None:
            raise (no_model if isinstance(slot.failure, ModelMissing) else model_unavailable)(
                str(slot.failure)
            )
        return slot.loaded

    async def find(self, name: str) -> Loaded | None:
        """As get, or None where there is none: a challenger need not be there."""
        try:
            return await self.get(name)
        except PenstockError:
            return None

    def _refresh(self, name: str, slot: _Slot) -> asyncio.Task[None]:
        if slot.refresh is None or slot.refresh.done():
            slot.refresh = asyncio.get_running_loop().create_task(self._look(name, slot))
        return slot.refresh

    async def _look(self, name: str, slot: _Slot) -> None:
        asked_s = self._monotonic_s()
        try:
            number = await self._number(name)
            if slot.loaded is None or slot.loaded.version.number != number:
                slot.loaded = await self._load(split_name(name)[0], number)
            slot.failure = None
        except PenstockError as error:
            slot.failure = error
            if slot.loaded is not None:
                log.warning("%s stays at %s: %s", name, slot.loaded.version.name, error)
        slot.asked_s = asked_s

    async def _number(self, name: str) -> int:
        model, chosen = split_name(name)
        if chosen.isdigit():
            return int(chosen)
        item = await self._item(model, chosen)
        return int(item["version"]["N"])

    async def _item(self, model: str, chosen: str) -> dict[str, dict[str, str]]:
        try:
            answer = await self._store.call("GetItem", lookup(model, chosen))
        except ServiceError as error:
            if is_missing(error):
                raise missing(model, chosen) from error
            raise
        if "Item" not in answer:
            raise missing(model, chosen)
        item: dict[str, dict[str, str]] = answer["Item"]
        return item

    async def _load(self, model: str, number: int) -> Loaded:
        version = version_of(await self._item(model, str(number)))
        loop = asyncio.get_running_loop()
        content = await loop.run_in_executor(None, read_content, version, self._artifacts)
        if version.format not in IN_PROCESS:
            return Loaded(version, None, content)
        return Loaded(version, await loop.run_in_executor(None, load_model, version, content), content)
