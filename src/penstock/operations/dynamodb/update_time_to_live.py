"""UpdateTimeToLive: a table's items begin to expire, or stop.

Enabling gives the table a space of entries in order of time (engine/expiry.py), which a background job fills: until
it is done the status is ENABLING. Disabling drops that space at once. AWS refuses a second change within half an
hour or so; here there is nothing to wait for, so none is refused.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.model.tables import Table, TimeToLive
from penstock.operations import shapes
from penstock.operations.dynamodb.describe_table import described_table


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("UpdateTimeToLive", request)
    table = described_table(context.view, request["TableName"])
    wanted = request["TimeToLiveSpecification"]
    _check_change(table.time_to_live, wanted["Enabled"], wanted["AttributeName"])
    reply = {
        "TimeToLiveSpecification": {"Enabled": wanted["Enabled"], "AttributeName": wanted["AttributeName"]}
    }
    plan = Plan(reply=orjson.dumps(reply), dropped=[])
    time_to_live = None
    if wanted["Enabled"]:
        time_to_live = TimeToLive(wanted["AttributeName"], context.view.next_space(), "ENABLING")
    elif table.time_to_live is not None:
        plan.dropped.append(table.time_to_live.space)
    changed: Table = replace(table, time_to_live=time_to_live)
    plan.tables = [(table.name, changed)]
    return plan


def _check_change(current: TimeToLive | None, enabled: bool, attribute: str) -> None:
    if current is None:
        if not enabled:
            raise errors.validation("TimeToLive is already disabled")
        return
    if current.attribute != attribute:
        raise errors.validation(
            f"TimeToLive is active on a different AttributeName: current AttributeName is {current.attribute}"
        )
    if enabled:
        raise errors.validation("TimeToLive is already enabled")
