"""An application's tasks in the worker: each in a thread, started again after an error, told when it is time to stop.

T1. Setup tasks run one after another, in the order of their declaration; the worker is ready when they are done.
T2. A task that raises is logged with its trace and runs again after a pause that grows to a minute. A setup task that
    raises does not hold the worker up for ever: the rest goes on, and it is tried again beside the others.
T3. What a task remembers is an item of the table `penstock_tasks`, so that it is where the application's data are.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.app.tasks import Task
from penstock.connect.client import Client
from penstock.events.system_tables import ensure_table
from penstock.run.extras import has
from penstock.run.reports import Reporter
from penstock.run.settings import Settings

MEMORY = "penstock_tasks"
PAUSE_S = 1.0
PAUSE_S_MAX = 60.0

log = logging.getLogger("penstock.tasks")


def memory_table() -> dict[str, Any]:
    return {
        "TableName": MEMORY,
        "AttributeDefinitions": [{"AttributeName": "name", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "name", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }


class Context:
    """`app.tasks.TaskContext` of one task."""

    def __init__(
        self, task: str, client: Client, settings: Settings, reporter: Reporter, stop: threading.Event
    ) -> None:
        self.client = client
        self.app_url, self.lake_url = settings.app_url, settings.lake_url
        self._task, self._reporter, self._stop = task, reporter, stop
        self._settings = settings

    def lake(self) -> Any:
        if not has("lake"):
            return None
        # Loaded for those who ask: DuckDB and Arrow are large, and may not be installed.
        return importlib.import_module("penstock.sql.lake").open_lake(self._settings.lake_location)

    def learn(
        self,
        model: str,
        estimator: Any,
        rows: Sequence[Mapping[str, Any]],
        labels: Sequence[Any],
        *,
        data: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        once: bool = False,
    ) -> str:
        there = self._registry().alias(model, "champion") if once else None
        if there is not None:
            return f"{model}@{there}"
        # Loaded for those who train: a worker without models needs none of it.
        registering = importlib.import_module("penstock.models.register")
        training = registering.TrainingRows(rows, labels, data or {})
        estimator.fit(training.matrix(), labels)
        registry = self._registry()
        version = registering.register(registry, model, estimator, training, metrics=metrics)
        registry.promote(model, version.number)
        return str(version.name)

    def has_model(self, model: str) -> bool:
        return self._registry().alias(model, "champion") is not None

    def _registry(self) -> Any:
        folder = importlib.import_module("penstock.models.artifacts").ArtifactFolder(
            self._settings.models_folder
        )
        return importlib.import_module("penstock.models.registry").Registry(self.client, folder)

    def say(self, text: str) -> None:
        self._reporter.said(text)

    def progress(self, done: int, total: int, unit: str) -> None:
        self._reporter.progress(self._task, done, total, unit)

    def stopping(self) -> bool:
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        return self._stop.wait(seconds)

    def remember(self, name: str, value: str) -> None:
        self.client.put_item(TableName=MEMORY, Item={"name": {"S": name}, "value": {"S": value}})

    def recall(self, name: str) -> str | None:
        answer = self.client.get_item(TableName=MEMORY, Key={"name": {"S": name}}, ConsistentRead=True)
        return str(answer["Item"]["value"]["S"]) if "Item" in answer else None


class TaskRunner:
    """`start` returns when the setup tasks are done; `stop` when every task has ended."""

    def __init__(
        self,
        tasks: Iterable[Task],
        client: Client,
        settings: Settings,
        reporter: Reporter,
        stop: threading.Event,
    ) -> None:
        self._tasks = list(tasks)
        self._client, self._settings, self._reporter, self._stop = client, settings, reporter, stop
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        if not self._tasks:
            return
        ensure_table(self._client, memory_table())
        again = [task for task in self._tasks if task.is_setup and not self._attempt(task)]
        for task in [*again, *(task for task in self._tasks if not task.is_setup)]:
            # A daemon: a task that does not listen must not keep the process from its end.
            thread = threading.Thread(target=self._keep_running, args=(task,), name=task.name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def join(self, seconds: float) -> list[str]:
        """Wait for the tasks to end; the names of those that did not."""
        for thread in self._threads:
            thread.join(seconds / max(1, len(self._threads)))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _keep_running(self, task: Task) -> None:
        pause_s = PAUSE_S
        while not self._attempt(task) and not self._stop.wait(pause_s):
            pause_s = min(pause_s * 2, PAUSE_S_MAX)

    def _attempt(self, task: Task) -> bool:
        context = Context(task.name, self._client, self._settings, self._reporter, self._stop)
        try:
            task.function(context)
        except (Exception, SystemExit):
            # A user's code at a thread's edge: whatever it raises is told, and it is tried again.
            if self._stop.is_set():
                return True  # What it was doing ended under it.
            log.exception("task %s failed", task.name)
            return False
        return True
