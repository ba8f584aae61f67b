"""An application: tables, features, predictors, handlers and what lands in the lake, declared in one Python file.

Nothing runs when it is declared. `penstock up` reads the declarations and runs them; `app.bind(client)` is enough to
use the tables from a notebook.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from penstock.app import tables
from penstock.app.access import Client
from penstock.app.features import TIME_UNITS, Feature, FeatureSet
from penstock.app.handlers import ChangeHandler, Handler, HttpHandler
from penstock.app.lake import CuratedTable, Delivery, LakeTable
from penstock.app.predictors import Predictor
from penstock.app.tables import IndexSpec, Table
from penstock.app.tasks import Task, TaskFunction
from penstock.errors import UsageError

_F = TypeVar("_F", bound=Handler)
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class App:
    """What a user's app.py says. The lists are read by run/, serving/, events/ and lake/."""

    def __init__(self, name: str, *, inferences_kept: str | None = None) -> None:
        """`inferences_kept`: how long a row of the inference log lives, such as `"90d"`; for ever where nothing is said."""
        self.name = name
        self.inferences_kept_s = None if inferences_kept is None else seconds(inferences_kept)
        self.tables: dict[str, Table] = {}
        self.feature_sets: dict[str, FeatureSet] = {}
        self.predictors: dict[str, Predictor] = {}
        self.change_handlers: dict[str, ChangeHandler] = {}
        self.http_handlers: list[HttpHandler] = []
        self.lake_tables: dict[str, LakeTable] = {}
        self.curated_tables: dict[str, CuratedTable] = {}
        self.deliveries: dict[str, Delivery] = {}
        self.tasks: dict[str, Task] = {}
        self._client: Client | None = None

    def bind(self, client: Client) -> None:
        """Use this client for the tables' plain-Python calls."""
        self._client = client

    def client(self) -> Client:
        if self._client is None:
            raise UsageError("the application has no client yet; call app.bind(penstock.connect(…)) first")
        return self._client

    def table(
        self,
        name: str,
        *,
        partition_key: str,
        sort_key: str | None = None,
        local_indexes: Mapping[str, IndexSpec] | None = None,
        global_indexes: Mapping[str, IndexSpec] | None = None,
        stream: bool = False,
        time_to_live: str | None = None,
        schema: Mapping[str, str] | None = None,
        stream_shards: int = 1,
    ) -> Table:
        declared = tables.declare(
            name,
            partition_key,
            sort_key,
            local_indexes or {},
            global_indexes or {},
            stream,
            time_to_live=time_to_live,
            schema=schema,
            stream_shards=stream_shards,
            client_of=self.client,
        )
        return _add(self.tables, name, declared)

    def features(
        self,
        name: str,
        *,
        source: Table,
        entity: str,
        time: str,
        features: Mapping[str, Feature],
        time_unit: str = "s",
        consistent: bool = True,
        tiles: str | None = None,
    ) -> FeatureSet:
        """Aggregates over an entity's events. `time` is text in ISO form, or a number since 1970 in `time_unit`."""
        if time_unit not in TIME_UNITS:
            raise UsageError(f"{name}: time_unit is {', '.join(TIME_UNITS)}, not {time_unit!r}")
        _check_kind(name, "source", source, Table)
        declared = FeatureSet(name, source, entity, time, dict(features), time_unit, consistent, tiles)
        return _add(self.feature_sets, name, declared)

    def training_set(
        self,
        features: FeatureSet,
        spine: Iterable[Any],
        *,
        label: Any = None,
        history: Any = None,
        backfilled: Any = None,
    ) -> Any:
        """Features as known at each (entity, time) of the spine, with labels: see penstock.features.training.

        `history` is a lake; without one, the change streams of the application's client tell what they still hold.
        """
        # By name, as commands are loaded: a declaration needs none of what computes it.
        training = importlib.import_module("penstock.features.training")
        source = self.client() if history is None else history
        return training.training_set(features, spine, label=label, history=source, backfilled=backfilled)

    def predictor(self, name: str, *, features: FeatureSet, model: str, **settings: Any) -> Predictor:
        _check_kind(name, "features", features, FeatureSet)
        return _add(self.predictors, name, Predictor(name, features, model, **settings))

    def on_change(self, table: Table, *, name: str | None = None, **settings: Any) -> Callable[[_F], _F]:
        """Above a function: call it with batches of the table's changes, in Lambda's event shape."""
        if not table.stream:
            raise UsageError(f"table {table.name!r} has no stream; declare it with stream=True")

        def register(handler: _F) -> _F:
            called = name or handler.__name__
            pattern = settings.pop("filter", ())
            settings["filter"] = (pattern,) if isinstance(pattern, Mapping | str) else tuple(pattern)
            _add(self.change_handlers, called, ChangeHandler(called, table, handler, **settings))
            return handler

        return register

    def http(self, route: str, handler: Handler) -> None:
        """Mount a Lambda handler in API Gateway's proxy shape: `app.http("POST /inference", handler)`."""
        method, _, path = route.partition(" ")
        if not path.startswith("/"):
            raise UsageError(f"{route!r} is not a route; write it as 'POST /path'")
        self.http_handlers.append(HttpHandler(method.upper(), path, handler))

    def lake(
        self,
        *followed: Table,
        mask: Sequence[str] = (),
        drop: Sequence[str] = (),
        transform: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        schema: Mapping[str, str] | None = None,
    ) -> None:
        """Follow these tables into the lake: `raw.NAME` and `current.NAME`."""
        for each in followed:
            _add(self.lake_tables, each.name, LakeTable(each, tuple(mask), tuple(drop), transform, schema))

    def followed(self) -> list[str]:
        """The declared tables that the lake follows: those that were named, or all that have a stream."""
        return list(self.lake_tables) or [name for name, table in self.tables.items() if table.stream]

    def lake_table(self, name: str, *, sql: str, every: str) -> CuratedTable:
        return _add(self.curated_tables, name, CuratedTable(name, sql, seconds(every)))

    def delivery(self, name: str, **settings: Any) -> Delivery:
        return _add(self.deliveries, name, Delivery(name, **settings))

    def setup(self, function: TaskFunction) -> TaskFunction:
        """Above a function: the worker runs it at each start, before the application is announced."""
        _add(self.tasks, function.__name__, Task(function.__name__, function, is_setup=True))
        return function

    def task(self, function: TaskFunction) -> TaskFunction:
        """Above a function: it runs in the worker for as long as the application does."""
        _add(self.tasks, function.__name__, Task(function.__name__, function, is_setup=False))
        return function


def seconds(text: str) -> float:
    """`5m` → 300.0"""
    unit = _UNITS_S.get(text[-1:])
    if unit is None or not text[:-1].isdigit():
        raise UsageError(f"{text!r} is not a duration; write 30s, 5m, 2h or 1d")
    return int(text[:-1]) * unit


_D = TypeVar("_D")


def _check_kind(name: str, setting: str, held: object, kind: type[Table] | type[FeatureSet]) -> None:
    """A name is what one writes first, and has none of what is asked of it later."""
    if not isinstance(held, kind):
        maker = "app.table(…)" if kind is Table else "app.features(…)"
        raise UsageError(f"{name}: {setting} is what {maker} gave, not {held!r}")


def _add(held: dict[str, _D], name: str, declared: _D) -> _D:
    if name in held:
        raise UsageError(f"{name!r} is declared twice")
    held[name] = declared
    return declared
