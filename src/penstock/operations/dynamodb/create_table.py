"""CreateTable: a table with its indexes, and its stream where asked for.

The reply says CREATING, and the table is ACTIVE for the very next request: SDKs' waiters sleep for many seconds
when they see CREATING even once. Tags may hold Penstock's own settings; see table_tags.py.
"""

from __future__ import annotations

from dataclasses import replace

from penstock import errors
from penstock.engine.plans import Context, Plan, Request
from penstock.limits import TABLES_MAX
from penstock.model.tables import Index, KeyAttribute, Table, TableStatus
from penstock.operations import shapes
from penstock.operations.dynamodb import table_definitions
from penstock.operations.dynamodb.arns import table_name
from penstock.operations.dynamodb.table_checks import check_create
from penstock.operations.dynamodb.table_descriptions import description_reply
from penstock.operations.dynamodb.table_streams import open_stream
from penstock.operations.dynamodb.table_tags import merged, stream_settings, tags_of


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("CreateTable", request)
    check_create(request)
    name = table_name(request["TableName"])
    if context.view.find_table(name) is not None:
        raise errors.resource_in_use(f"Table already exists: {name}")
    if len(context.view.table_names()) >= TABLES_MAX:
        raise errors.limit_exceeded(
            f"Subscriber limit exceeded: There is a limit of {TABLES_MAX} tables per subscriber"
        )
    table = _new_table(name, request, context)
    if request.get("StreamSpecification", {}).get("StreamEnabled"):
        view = request["StreamSpecification"]["StreamViewType"]
        table = replace(table, stream=open_stream(table, view, max(table.spaces) + 1, context))
    shown = replace(
        table,
        status=TableStatus.CREATING,
        billing_changed_us=0,
        global_indexes=tuple(replace(index, status=TableStatus.CREATING) for index in table.global_indexes),
    )
    return Plan(
        reply=description_reply("TableDescription", shown, context),
        tables=[(name, table)],
        streams=[table.stream] if table.stream is not None else [],
    )


def _new_table(name: str, request: Request, context: Context) -> Table:
    types = table_definitions.attribute_types(request)
    keys = table_definitions.key_schema(request["KeySchema"], types)
    space = context.view.next_space()
    local = request.get("LocalSecondaryIndexes") or []
    global_ = request.get("GlobalSecondaryIndexes") or []

    def indexes(specs: list[Request], first: int, is_global: bool) -> tuple[Index, ...]:
        return tuple(
            table_definitions.new_index(spec, keys, types, first + place, is_global=is_global)
            for place, spec in enumerate(specs)
        )

    tags = merged((), tags_of(request.get("Tags") or []))
    shards, retention_s = stream_settings(tags)
    return Table(
        name=name,
        id=context.fresh_id(),
        space=space,
        keys=keys,
        created_us=context.now_us,
        attribute_types=tuple(KeyAttribute(name, type_) for name, type_ in types.items()),
        local_indexes=indexes(local, space + 1, False),
        global_indexes=indexes(global_, space + 1 + len(local), True),
        billing_mode=request.get("BillingMode", "PROVISIONED"),
        throughput=table_definitions.throughput_of(request),
        on_demand=table_definitions.on_demand_of(request),
        warm=table_definitions.warm_of(request),
        tags=tags,
        deletion_protection=request.get("DeletionProtectionEnabled", False),
        table_class=request.get("TableClass", ""),
        encryption=table_definitions.encryption_of(request),
        billing_changed_us=context.now_us if request.get("BillingMode") == "PAY_PER_REQUEST" else 0,
        stream_shards=shards,
        stream_retention_s=retention_s,
    )
