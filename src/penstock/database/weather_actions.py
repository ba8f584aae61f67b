"""AWS on a bad day: each action as it is, run in the weather.

    request ─▶ what it sees (views of the past, of tables on their way) ─▶ action ─▶ plan ─▶ what strikes it ─▶ plan

A1. Every answer is one that AWS may give. A request is first decided as ever, so a bad request gets its own error in
    any weather; then a good one may be refused, cut short or done in part, and a part is answered as such.
A2. Conditions, updates, transactions and reads with ConsistentRead see the present. Nothing here changes what is
    written but for leaving out what the answer calls unprocessed: what is acknowledged is there, in its indexes and
    in its stream.
A3. A refused request has written nothing.
A4. A split is a write of its own, between two requests.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from penstock import errors
from penstock.database.actions import ITEM_ACTIONS, OWN, Action, only_reads
from penstock.database.database import Database
from penstock.database.expiry import expire
from penstock.database.sweeps import Job
from penstock.database.weather import Draws, Weather
from penstock.database.weather_batches import BATCHES, in_part
from penstock.database.weather_past import Past
from penstock.database.weather_tables import ChangesView, ItemsView, TablesView, Transitions
from penstock.database.weather_throttling import RATE, HotPartitions, reason_of, throttled
from penstock.engine import shards, transactions
from penstock.engine.plans import EVERYTHING, Context, Plan, Request, Slices, View
from penstock.errors import ServiceError, StoreUnavailable
from penstock.limits import ITERATOR_S
from penstock.model.tables import Index, Table

log = logging.getLogger("penstock.database")

PAGED = frozenset({"Query", "Scan", "ExecuteStatement"})
TRANSACTIONS = frozenset({"TransactGetItems", "TransactWriteItems", "ExecuteTransaction"})
CHANGES = frozenset({"CreateTable", "UpdateTable", "DeleteTable", "UpdateTimeToLive"})
SHOWS = frozenset({"DescribeTable", "ListTables", "DescribeTimeToLive"})
SHORT_PAGE_MAX = 32  # A page that is cut early has at most so many items where the request set no limit.
_US_PER_S = 1_000_000


@dataclass(slots=True)
class Call:
    """One request on its way through the weather."""

    name: str
    action: Action
    request: Request
    context: Context  # As the engine gave it: the present.
    seen: Context  # As the action is given it.
    draws: Draws
    table: Table | None
    reads: bool


class BadDay:
    """The weather over one database: `over` its actions, `attach`ed to it, with `jobs` of its own."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._transitions = Transitions(weather)
        self._hot = HotPartitions(weather)
        self._transacted: set[bytes] = set()  # Tables that transactions were on, by their space.
        self._due: tuple[int, int] | None = None  # The stream and the shard of it that is split next.

    def over(self, actions: dict[str, Action]) -> dict[str, Action]:
        """The same actions, in the weather. Penstock's own are out of it."""
        return {
            target: action if target.startswith(OWN) else self._exposed(target.rpartition(".")[2], action)
            for target, action in actions.items()
        }

    def attach(self, database: Database) -> None:
        """To the database that runs the actions; before its first request."""
        self._database = database
        self._past = Past(self.weather, database.view)
        database.on_applying.append(lambda plan: self._past.remember(plan, database.clock.now_us()))

    def jobs(self, jobs: list[Callable[[Database], Job]]) -> list[Callable[[Database], Job]]:
        def expire_late(database: Database) -> Job:
            return expire(database, self.weather.ttl_delay_s)

        return [expire_late if job is expire else job for job in jobs]

    def _exposed(self, name: str, action: Action) -> Action:
        def run(request: Request, context: Context) -> Plan | Slices:
            self._split()
            table = _table_of(request, context.view)
            of = (name, table.name if table is not None else "")
            self._numbers[of] += 1
            draws = Draws(self.weather, *of, self._numbers[of])
            reads = only_reads(name, request)
            seen = self._seen(name, request, context, draws, reads)
            call = Call(name, action, request, context, seen, draws, table, reads)
            outcome = action(self._shortened(call), seen)
            if type(outcome) is Plan:
                return self._through(call, outcome)
            return self._wait(call, outcome)  # type: ignore[arg-type]

        return run

    def _wait(self, call: Call, slices: Slices) -> Generator[None, None, Plan]:
        plan = yield from slices
        return self._through(call, plan)

    # What the action sees.

    def _seen(self, name: str, request: Request, context: Context, draws: Draws, reads: bool) -> Context:
        view: View = context.view
        now_us = context.now_us
        if name in SHOWS:
            view = TablesView(view, self._transitions, now_us, of_time_to_live=name == "DescribeTimeToLive")
        elif name in CHANGES and name != "CreateTable":
            view = ChangesView(view, self._transitions, now_us)
        elif name in ITEM_ACTIONS:
            view = ItemsView(view, self._transitions, now_us, reads=reads)
            fresh = _fresh(name, request, context.view) if reads else None
            if fresh is not None:
                view = self._past.lagging(view, draws, now_us, fresh)
        elif name == "GetRecords" and draws.strikes("expired_iterators"):
            now_us += (ITERATOR_S + 1) * _US_PER_S
        return replace(context, view=view, now_us=now_us)

    def _shortened(self, call: Call) -> Request:
        """The request with a smaller Limit, perhaps: a page that ends before its time."""
        if call.name not in PAGED or not call.reads or not call.draws.strikes("short_pages"):
            return call.request
        limit = call.request.get("Limit", SHORT_PAGE_MAX)
        if type(limit) is not int or limit < 1:
            return call.request
        return {**call.request, "Limit": call.draws.whole("limit", 1, limit)}

    # What happens to the plan.

    def _through(self, call: Call, plan: Plan) -> Plan:
        """The plan that is applied and answered, or the error that the request meets instead."""
        if call.name in CHANGES:
            for name, _ in plan.tables:
                self._transitions.refuse_change(name, call.context.now_us)
        # A transaction's token was used before: the first call's success is told again, whatever the weather.
        if plan.reads[:1] == [EVERYTHING] and call.name in TRANSACTIONS:
            return plan
        self._meet_conflict(call, plan)
        self._meet_throttling(call, plan)
        if call.name in BATCHES and call.draws.strikes("unprocessed"):
            plan = in_part(call.name, call.action, call.request, call.seen, call.draws, plan)
        self._note(call, plan)
        return plan

    def _meet_conflict(self, call: Call, plan: Plan) -> None:
        if call.name in TRANSACTIONS:
            if call.draws.strikes("conflicts"):
                reason = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
                raise self._canceled(call, reason)
        elif call.name in ITEM_ACTIONS and not call.reads and call.name not in BATCHES:
            space = plan.reads[0][:4] if plan.reads else b""
            if space in self._transacted and call.draws.strikes("conflicts"):
                raise errors.transaction_conflict()

    def _meet_throttling(self, call: Call, plan: Plan) -> None:
        if call.name not in ITEM_ACTIONS:
            if call.draws.strikes("throttling"):
                raise errors.throttling(RATE, [])
            return
        consistent = bool(call.request.get("ConsistentRead"))
        hot = self._hot.refuse(plan, call.context.now_us, reads=call.reads, consistent=consistent)
        if not hot and not call.draws.strikes("throttling"):
            return
        error = throttled(call.table, _index_of(call), call.context, reads=call.reads, hot=hot)
        raise self._canceled(call, reason_of(error)) if call.name in TRANSACTIONS else error

    def _canceled(self, call: Call, reason: dict[str, str]) -> ServiceError:
        """A transaction that one of its actions, whichever the draw says, cannot be part of."""
        actions = call.request.get("TransactItems") or call.request["TransactStatements"]
        at = call.draws.whole("action", 0, len(actions) - 1)
        reasons: list[dict[str, Any]] = [{"Code": "None"} for _ in actions]
        reasons[at] = dict(reason)
        return transactions.canceled(reasons)

    def _note(self, call: Call, plan: Plan) -> None:
        """What a plan means for the requests after it."""
        context = call.context
        if call.name in CHANGES and plan.tables and _takes_time(call, plan):
            name, after = plan.tables[0]
            before = context.view.find_table(name)
            self._transitions.began(call.name, before, after, call.draws, context.now_us)
        if call.name in TRANSACTIONS:
            self._transacted.update(key[:4] for key in plan.reads)
        if plan.changes and call.draws.strikes("shard_splits"):
            self._due = plan.changes[0].stream, plan.changes[0].shard

    def _split(self) -> None:
        """Split the shard that is due, if it still can be."""
        if self._due is None:
            return
        (stream_id, number), self._due = self._due, None
        view = self._database.view
        stream = view.stream(stream_id)
        shard = shards.find(stream, number) if stream is not None else None
        if stream is None or shard is None or not stream.enabled or shard.closed is not None:
            return
        open_ = sum(1 for each in stream.shards if each.closed is None)
        if open_ >= self.weather.stream_shards or shard.high - shard.low < 2:
            return
        self._database.context()
        try:
            self._database.apply(shards.plan_split(view, stream_id, number))
        except StoreUnavailable as error:
            log.warning("shard %d of stream %d stays whole: %s", number, stream_id, error)


def _table_of(request: Request, view: View) -> Table | None:
    name = request.get("TableName")
    return view.find_table(name) if isinstance(name, str) else None


def _index_of(call: Call) -> Index | None:
    name = call.request.get("IndexName")
    return call.table.index(name) if call.table is not None and name is not None else None


def _takes_time(call: Call, plan: Plan) -> bool:
    """UpdateTable does some things at once; its answer says where the work goes on."""
    return call.name != "UpdateTable" or b'"TableStatus":"UPDATING"' in plan.reply


def _listed(request: Request, member: str) -> list[Any]:
    listed = request.get(member)
    return listed if isinstance(listed, list) else []


def _fresh(name: str, request: Request, view: View) -> frozenset[bytes] | None:
    """The spaces that a read must see as they are; None where it must see everything so."""
    if name in TRANSACTIONS or request.get("ConsistentRead"):
        return None
    if name == "BatchExecuteStatement":
        statements = _listed(request, "Statements")
        consistent = any(isinstance(one, dict) and one.get("ConsistentRead") for one in statements)
        return None if consistent else frozenset()
    if name != "BatchGetItem":
        return frozenset()
    wanted = request.get("RequestItems")
    spaces = set()
    for table_name, each in wanted.items() if isinstance(wanted, dict) else ():
        table = view.find_table(table_name)
        if table is not None and isinstance(each, dict) and each.get("ConsistentRead"):
            spaces.add(table.space.to_bytes(4, "big"))
    return frozenset(spaces)
