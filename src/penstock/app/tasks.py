"""Tasks as an application declares them: functions that run beside it for as long as `penstock up` does.

`@app.setup` runs at each start before the application is announced, `@app.task` beside it. Both run in threads of the
worker process, and again after an error or a restart: a task asks what it remembers and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from penstock.app.access import Client


class TaskContext(Protocol):
    """What a task can reach. `client` speaks to the same tables as everything else."""

    @property
    def client(self) -> Client: ...

    @property
    def app_url(self) -> str:
        """Where predictions and events are served."""

    @property
    def lake_url(self) -> str:
        """Where SQL is answered."""

    def lake(self) -> Any:
        """The lake, for `.sql("SELECT …")` and as the history of a training set; None where it is not installed."""

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
        """Fit the estimator on these rows, register it and make it the champion; the version's name.

        The fast form that serves is held against the estimator on every row first, and refused where it differs. With
        `once` a champion that is there already stays, and its name is returned.
        """

    def has_model(self, model: str) -> bool:
        """Whether there is a champion already."""

    def say(self, text: str) -> None:
        """A line for whoever started `penstock up`."""

    def progress(self, done: int, total: int, unit: str) -> None:
        """How far this task is. Call it as often as you like: it is shown a few times a second."""

    def stopping(self) -> bool: ...

    def wait(self, seconds: float) -> bool:
        """Sleep, but not through a stop: True if the application is stopping."""

    def remember(self, name: str, value: str) -> None:
        """Keep a value durably under the application's name, for the next start."""

    def recall(self, name: str) -> str | None: ...


TaskFunction: TypeAlias = Callable[[TaskContext], None]


@dataclass(frozen=True)
class Task:
    name: str
    function: TaskFunction
    is_setup: bool
