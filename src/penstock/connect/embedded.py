"""The engine inside this process, or the process that already owns the directory: `connect("file:…")` finds out.

Whoever opens a data directory first owns it, runs the engine and answers everybody else on a socket inside
it. Another process speaks HTTP over that socket, and becomes the owner itself when the owner is gone.
Clients of one process share one engine; it closes with the last of them, or at exit.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvloop

from penstock.connect.http import Address, HttpTransport
from penstock.connect.ownership import Claim, OwnerGone, open_socket, owner_pid
from penstock.database.owner import Owner, open_owner
from penstock.errors import UsageError
from penstock.server.listen import Server

ELECTION_S = 60.0  # An owner that opens a large directory may need a while before it answers.
_POLL_S = 0.02


class FileTransport:
    """`Transport` to a data directory, whoever owns it at the moment."""

    def __init__(
        self,
        folder: Path,
        durability: str = "power",
        over: Callable[[Address], HttpTransport] = HttpTransport,
    ) -> None:
        """`over` makes the way to another process that owns the directory."""
        self._folder = folder.resolve()
        self._durability = durability
        self._over = over
        self._lock = threading.Lock()
        self._current: SharedEngine | HttpTransport | Closed = self._elect()
        self._release = weakref.finalize(self, _let_go, self._current)

    @property
    def owns(self) -> bool:
        """Whether the engine runs in this process."""
        return isinstance(self._current, SharedEngine)

    def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
        while True:
            current = self._current
            try:
                return current.send(target, body, wait_ms)
            except OwnerGone:
                self._succeed(current)

    def close(self) -> None:
        with self._lock:
            if self._release.detach() is not None:
                current, self._current = self._current, Closed()
                current.close()

    def _succeed(self, gone: SharedEngine | HttpTransport | Closed) -> None:
        """Find the next owner, once for all threads that saw the last one go."""
        with self._lock:
            if self._current is gone:
                self._release.detach()
                gone.close()
                self._current = self._elect()
                self._release = weakref.finalize(self, _let_go, self._current)

    def _elect(self) -> SharedEngine | HttpTransport:
        deadline_s = time.monotonic() + ELECTION_S
        while True:
            engine = ENGINES.get(self._folder, self._durability)
            if engine is not None:
                return engine
            try:
                open_socket(self._folder, 5.0).close()
            except OwnerGone:
                # The owner is opening the directory, closing it, or was killed this instant: look again.
                if time.monotonic() > deadline_s:
                    raise UsageError(
                        f"{self._folder} is held by process {owner_pid(self._folder)}, which does not answer"
                    ) from None
                time.sleep(_POLL_S)
                continue
            return self._over(Address("localhost", "/", lambda limit_s: open_socket(self._folder, limit_s)))


class Closed:
    """What a closed client speaks to."""

    def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
        raise UsageError("this client is closed")

    def close(self) -> None:
        """Closing twice is no mistake."""


class SharedEngine:
    """The engine of one directory in this process, its socket, and how many clients use it."""

    def __init__(self, claim: Claim, durability: str, forget: Callable[[], None]) -> None:
        self._claim = claim
        self._forget = forget
        self._pid = os.getpid()
        self.users = 1
        self._owner = open_owner(claim.folder, durability=durability)
        self.call = self._owner.call
        try:
            self._door = SocketDoor(self._owner, claim)
        except BaseException:
            self._owner.close()
            raise

    def send(self, target: str, body: bytes, wait_ms: int) -> tuple[int, bytes]:
        return self.call(target, body, wait_ms)

    def close(self) -> None:
        """One user less; the last one closes the engine."""
        if self._pid == os.getpid():
            self._forget()

    def shut(self) -> None:
        self._owner.stop_waiting()
        self._door.close()
        self._owner.close()
        self._claim.release()


class Engines:
    """The engines of this process by directory: a lock file cannot be held twice, so clients must share."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        # Reentrant: collecting a dropped client may close its engine from inside any allocation, here too.
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._engines: dict[Path, SharedEngine] = {}

    def get(self, folder: Path, durability: str) -> SharedEngine | None:
        """The engine for one more client, or None if another process owns the directory."""
        if self._pid != os.getpid():
            # A forked child has none of its parent's engines, and its lock may be held by a thread that is
            # gone.
            self._begin()
        with self._lock:
            engine = self._engines.get(folder)
            if engine is not None:
                engine.users += 1
                return engine
            claim = Claim.try_for(folder)
            if claim is None:
                return None
            try:
                engine = SharedEngine(claim, durability, lambda: self._drop(folder))
            except BaseException:
                claim.release()
                raise
            self._engines[folder] = engine
            return engine

    def _drop(self, folder: Path) -> None:
        with self._lock:
            engine = self._engines[folder]
            engine.users -= 1
            if engine.users:
                return
            del self._engines[folder]
            engine.shut()


class SocketDoor:
    """Answers other processes on the directory's socket, in a thread with a loop of its own."""

    def __init__(self, owner: Owner, claim: Claim) -> None:
        self._owner = owner
        self._bound = claim.bind()
        self._loop = uvloop.new_event_loop()
        self._stop = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-socket", daemon=True)
        self._thread.start()
        self._listening.wait()

    def start(self, target: str, body: bytes, done: Callable[[int, bytes], None], wait_ms: int = 0) -> None:
        """`ports.Endpoint` for the server on our loop: answers from other threads are brought to it."""

        def bring(status: int, answer: bytes) -> None:
            if threading.current_thread() is self._thread:
                done(status, answer)
            else:
                # After the grace period of a stop the loop is gone, and so is who asked.
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(done, status, answer)

        self._owner.start(target, body, bring, wait_ms)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._listening.set()

    async def _serve(self) -> None:
        server = Server(self)
        await server.listen_unix(self._bound)
        self._listening.set()
        await self._stop.wait()
        await server.stop()


def _let_go(current: SharedEngine | HttpTransport | Closed) -> None:
    """Close for a client that was dropped, or at exit.

    A collector may run in any thread, the engine's own among them, and a thread cannot wait for its own end.
    """
    if threading.current_thread() is threading.main_thread():
        current.close()
    else:
        threading.Thread(target=current.close, name="penstock-close").start()


ENGINES = Engines()
