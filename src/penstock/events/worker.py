"""The worker's part of events: every change handler of an application as a consumer in threads, its HTTP handlers behind a
loopback listener, and a stop that loses nothing.

    worker = Worker(app, client)
    worker.start()
    …
    worker.stop()

One thread steps each consumer; effects are performed by others, so lanes run beside each other and a held-open read costs
nothing. Handlers share the process, as Lambda's share a container: what they keep in globals stays.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable
from queue import Empty, SimpleQueue

import orjson

from penstock.app.application import App
from penstock.app.handlers import ChangeHandler
from penstock.connect.client import Client
from penstock.database.open import SystemClock
from penstock.events.consumer import Consumer
from penstock.events.consumer_metrics import Report, watch_reports
from penstock.events.effects import Effect, Result, Trouble
from penstock.events.http_door import HttpDoor
from penstock.events.performer import Performer
from penstock.events.settings import Settings, settings_of
from penstock.events.system_tables import consumers_table, dead_letters_table, ensure_table
from penstock.events.threads import Hands
from penstock.events.time_limits import TimeLimit
from penstock.metrics.registry import Registry
from penstock.ports import Clock

log = logging.getLogger("penstock.events")

STOP_WITHIN_S = 30.0
WAIT_S_MAX = 60.0


def worker_name() -> str:
    """Who this worker is, to people who read it and to no other worker of any time."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Crashed:
    """An effect ended in an error that nobody expects: a bug, or the process is going down."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class ConsumerThread:
    """One consumer, stepped by a thread of its own."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        worker: str,
        hands: Hands,
        callers: Hands,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.clock = clock
        chance = random.Random()
        self.consumer = Consumer(settings, worker, chance)
        self.failure: BaseException | None = None
        self._performer = Performer(
            client,
            settings,
            worker,
            clock,
            chance,
            lambda: str(uuid.uuid4()),
            sleep,
            TimeLimit(callers, settings.name),
        )
        self._hands = hands
        self._inbox: SimpleQueue[tuple[Effect, Result | Crashed] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"penstock-{settings.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        self._inbox.put(None)

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self.consumer.stopped:
                for effect in self.consumer.step(*self._now()):
                    self._hands.do(lambda effect=effect: self._perform(effect))  # type: ignore[misc]
                self._take_results()
        except BaseException as error:
            self.failure = error
            log.exception("the consumer %s ended", self.settings.name)
            raise

    def _now(self) -> tuple[float, float]:
        return self.clock.monotonic_s(), self.clock.now_us() / 1_000_000

    def _perform(self, effect: Effect) -> None:
        try:
            self._inbox.put((effect, self._performer.perform(effect)))
        except BaseException as error:
            self._inbox.put((effect, Crashed(error)))
            raise

    def _take_results(self) -> None:
        """Wait for the next result or for the time that the consumer named; then take all that are there."""
        wait_s = self.consumer.due_s(self.clock.monotonic_s()) - self.clock.monotonic_s()
        try:
            # A hair later than due, so that the step finds that it is due.
            message = self._inbox.get(timeout=min(max(wait_s, 0.0) + 0.0005, WAIT_S_MAX))
            while True:
                self._take(message)
                message = self._inbox.get_nowait()
        except Empty:
            return

    def _take(self, message: tuple[Effect, Result | Crashed] | None) -> None:
        if message is None:
            self.consumer.stop()
            return
        effect, result = message
        if isinstance(result, Crashed):
            raise result.error
        if isinstance(result, Trouble):
            log.warning("%s: %s: %s", self.settings.name, type(effect).__name__, result.message)
        self.consumer.settle(effect, result, *self._now())


class Worker:
    """All handlers of an application."""

    def __init__(
        self,
        app: App,
        client: Client,
        *,
        registry: Registry | None = None,
        name: str | None = None,
        clock: Clock | None = None,
        http_port: int = 0,
        http_token: str | None = None,
    ) -> None:
        self.name = name or worker_name()
        self._client = client
        self._clock = clock or SystemClock()
        self._hands = Hands("penstock-effect")
        self._callers = Hands(
            "penstock-handler"
        )  # Of its own: an effect waits for its call in one thread each.
        self._registry = registry or Registry()
        self._declared: list[ChangeHandler] = list(app.change_handlers.values())
        self.consumers = {
            declared.name: ConsumerThread(
                client, settings_of(declared), self.name, self._hands, self._callers, self._clock
            )
            for declared in self._declared
        }
        self.door = (
            HttpDoor(app.http_handlers, self._clock, port=http_port, token=http_token)
            if app.http_handlers
            else None
        )
        watch_reports(self._registry, self._reports)

    def start(self) -> None:
        """Make the tables that are missing, then follow the streams. Returns when everything runs."""
        if self.consumers:
            ensure_table(self._client, consumers_table())
            ensure_table(self._client, dead_letters_table())
        for thread in self.consumers.values():
            thread.start()
        if self.door is not None:
            self.door.start()

    def _reports(self) -> list[Report]:
        wall_s = self._clock.now_us() / 1_000_000
        return [
            Report(name, self.name, orjson.loads(thread.consumer.report(wall_s)))
            for name, thread in self.consumers.items()
        ]

    @property
    def http_address(self) -> tuple[str, int] | None:
        return self.door.address if self.door is not None else None

    def failures(self) -> dict[str, BaseException]:
        """Consumers that ended by an error; whoever supervises the worker starts it again."""
        return {name: each.failure for name, each in self.consumers.items() if each.failure is not None}

    def stop(self, within_s: float = STOP_WITHIN_S) -> bool:
        """Let handlers finish, keep positions, give up leases. False where a handler did not come back in time: its
        batch is handled again elsewhere when this process is gone."""
        deadline_s = self._clock.monotonic_s() + within_s
        if self.door is not None:
            self.door.close()
        started = [thread for thread in self.consumers.values() if thread.alive]
        for thread in started:
            thread.ask_to_stop()
        in_time = [thread.join(max(0.0, deadline_s - self._clock.monotonic_s())) for thread in started]
        if self.door is not None:
            in_time.append(self.door.drain(deadline_s))
        self._hands.close()
        self._callers.close()
        return all(in_time)
