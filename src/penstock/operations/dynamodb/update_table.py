"""UpdateTable: one change to a table that stays in use.

All that can be done at once is done when the reply is out, though the reply shows it in progress, as on AWS: throughput
and billing mode, the stream, protection, class, encryption, an index that goes. Only a new index takes time
(index_updates.py); until it is filled the table is UPDATING and refuses what AWS then refuses.
"""

from __future__ import annotations

from dataclasses import replace

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.model.tables import Table, Throughput
from penstock.operations import shapes
from penstock.operations.dynamodb.describe_table import described_table
from penstock.operations.dynamodb.index_updates import update_indexes
from penstock.operations.dynamodb.table_changes import (
    Changes,
    building,
    changed_throughput,
    in_use,
    merged_on_demand,
    warm_afterwards,
    warmer,
)
from penstock.operations.dynamodb.table_checks import check_on_demand
from penstock.operations.dynamodb.table_definitions import encryption_of, on_demand_of, warm_of
from penstock.operations.dynamodb.table_descriptions import description_reply
from penstock.operations.dynamodb.table_streams import close_stream, open_stream
from penstock.operations.dynamodb.table_update_checks import check_update


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("UpdateTable", request)
    check_update(request)
    table = described_table(context.view, request["TableName"])
    changes = Changes(table, table, Plan(streams=[], dropped=[]), context)
    _change_throughput(changes, request)
    update_indexes(changes, request)
    _change_stream(changes, request)
    _change_settings(changes, request)
    changes.plan.reply = description_reply("TableDescription", changes.shown, context)
    if changes.table != table:
        changes.plan.tables = [(table.name, changes.table)]
    return changes.plan


def _change_throughput(changes: Changes, request: Request) -> None:
    table = changes.table
    given, mode = request.get("ProvisionedThroughput"), request.get("BillingMode", table.billing_mode)
    switched = mode != table.billing_mode
    if (given is not None or switched) and building(table):
        names = ", ".join(building(table))
        raise in_use(
            f"Can't change table IOPS when an index is being created. Table: {table.name} Indexes: [{names}]"
        )
    if given is not None and mode == "PAY_PER_REQUEST":
        raise errors.invalid_parameter(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
        )
    if given is not None:
        _check_will_change(table, given)
        new = changed_throughput(table.throughput, given, changes.context.now_us)
        changes.table = replace(
            table, throughput=new, warm=warm_afterwards(table.warm, table.throughput, new)
        )
    if switched:
        _switch(changes, mode, request)
    if given is not None or "BillingMode" in request:
        changes.in_progress()


def _check_will_change(table: Table, given: dict[str, int]) -> None:
    read, write = given["ReadCapacityUnits"], given["WriteCapacityUnits"]
    if (read, write) == (table.throughput.read_units, table.throughput.write_units):
        raise errors.validation(
            "The provisioned throughput for the table will not change. The requested value equals the current "
            f"value. Current ReadCapacityUnits provisioned for the table: {read}. "
            f"Requested ReadCapacityUnits: {read}. Current WriteCapacityUnits provisioned for the table: {write}. "
            f"Requested WriteCapacityUnits: {write}. Refer to the Amazon DynamoDB Developer Guide for current "
            "limits and how to request higher limits."
        )


def _switch(changes: Changes, mode: str, request: Request) -> None:
    """Between the billing modes. To PROVISIONED, every index needs its throughput in the same request."""
    table = changes.table
    if mode == "PROVISIONED":
        updated = {
            update["Update"]["IndexName"]
            for update in request.get("GlobalSecondaryIndexUpdates") or []
            if update.get("Update", {}).get("ProvisionedThroughput")
        }
        for index in table.global_indexes:
            if index.name not in updated:
                raise errors.invalid_parameter(
                    f"ProvisionedThroughput must be specified for index: {index.name}"
                )
        indexes = tuple(replace(index, on_demand=None) for index in table.global_indexes)
        changes.table = replace(table, billing_mode=mode, on_demand=None, global_indexes=indexes)
        return
    indexes = tuple(
        replace(
            index, throughput=Throughput(), warm=warm_afterwards(index.warm, index.throughput, Throughput())
        )
        for index in table.global_indexes
    )
    changes.table = replace(
        table,
        billing_mode=mode,
        throughput=Throughput(),
        warm=warm_afterwards(table.warm, table.throughput, Throughput()),
        billing_changed_us=changes.context.now_us,
        global_indexes=indexes,
    )


def _change_stream(changes: Changes, request: Request) -> None:
    spec, table = request.get("StreamSpecification"), changes.table
    if spec is None:
        return
    if building(table):
        raise in_use("Can't change stream status when an index is being created")
    enabled = table.stream is not None and table.stream.enabled
    if spec["StreamEnabled"]:
        if enabled:
            raise errors.validation(f"Table already has an enabled stream: TableName: {table.name}")
        id_ = changes.context.view.next_space()
        stream = open_stream(table, spec["StreamViewType"], id_, changes.context)
    else:
        if table.stream is None or not enabled:
            raise errors.validation(f"Table has no stream to disable: TableName: {table.name}")
        stream = close_stream(table.stream, changes.context)
    changes.plan.streams.append(stream)
    changes.change(stream=stream)
    changes.in_progress()


def _change_settings(changes: Changes, request: Request) -> None:
    """The changes that stand alone in a request, so that no more than one of them is here."""
    table = changes.table
    if "DeletionProtectionEnabled" in request:
        changes.change(deletion_protection=request["DeletionProtectionEnabled"])
    if "TableClass" in request:
        _change_class(changes, request["TableClass"])
    if "SSESpecification" in request:
        _change_encryption(changes, request)
    on_demand = request.get("OnDemandThroughput")
    if on_demand:
        if building(table):
            names = ", ".join(building(table))
            raise in_use(
                f"OnDemandThroughput cannot be updated while index creation is in progress for indexes: [{names}]"
            )
        check_on_demand(on_demand, table.billing_mode, clearable=True)
        changes.change(on_demand=merged_on_demand(table.on_demand, on_demand_of(request), on_demand))
    if request.get("WarmThroughput"):
        changes.table = replace(table, warm=warmer(table.warm, table, warm_of(request), "table"))


def _change_class(changes: Changes, wanted: str) -> None:
    """The reply shows the old class, and UPDATING even where nothing changes."""
    table = changes.table
    if building(table):
        raise in_use(f"Table is being updated: {table.name}")
    changes.in_progress()
    if wanted != (table.table_class or "STANDARD"):
        changes.table = replace(table, table_class=wanted, table_class_changed_us=changes.context.now_us)


def _change_encryption(changes: Changes, request: Request) -> None:
    """There is no key service here: the key's name is kept and shown, and the files are as they were."""
    wanted, current = encryption_of(request), changes.table.encryption
    if not wanted and not current:
        raise errors.invalid_parameter("Table is already encrypted by default")
    key = request["SSESpecification"].get("KMSMasterKeyId")
    if key is not None and wanted == current:
        raise errors.invalid_parameter(
            "Table is already encrypted with given KMSMasterKeyId. "
            "Use KMSMasterKeyId parameter if you want to change Master Key"
        )
    changes.change(encryption=wanted)
