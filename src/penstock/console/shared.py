"""An answer that several viewers share: computed once at a time, and again only when it is old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Shared(Generic[_T]):
    """Twenty people who look at one page cost as much as one."""

    def __init__(
        self, compute: Callable[[], Awaitable[_T]], fresh_s: float, monotonic_s: Callable[[], float]
    ) -> None:
        self._compute, self._fresh_s, self._monotonic_s = compute, fresh_s, monotonic_s
        self._held: _T | None = None
        self._since_s = float("-inf")
        self._computing = asyncio.Lock()

    async def get(self) -> _T:
        async with self._computing:
            if self._held is None or self._monotonic_s() - self._since_s > self._fresh_s:
                self._held = await self._compute()
                self._since_s = self._monotonic_s()
            return self._held

    def forget(self) -> None:
        self._since_s = float("-inf")
