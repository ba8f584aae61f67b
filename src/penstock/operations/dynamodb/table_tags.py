"""Tags of a table: how AWS checks them, and the two that Penstock itself reads.

    penstock:stream-shards            1 to 64: how many shards the table's next stream opens with (1)
    penstock:stream-retention-hours   24 to 8760: how long the records of its stream are kept (24)

They are given with CreateTable or TagResource. Being tags, they go to AWS unchanged, where they mean nothing.
The number of shards is read when a stream is enabled; the retention holds at once, also for the stream that is open.
Without the tag the default holds again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock import errors
from penstock.engine.plans import Context, Plan
from penstock.limits import STREAM_RETENTION_S, STREAM_RETENTION_S_MAX, TAGS_MAX
from penstock.model.tables import Table
from penstock.operations.dynamodb.arns import table_arn

SHARDS_TAG = "penstock:stream-shards"
RETENTION_TAG = "penstock:stream-retention-hours"
STREAM_SHARDS_MAX = 64
KEY_LENGTH_MAX = 128
VALUE_LENGTH_MAX = 256
PUNCTUATION = frozenset("+-=._:/@")
Tags = tuple[tuple[str, str], ...]


def tags_of(given: list[dict[str, Any]]) -> Tags:
    """Tags of a request, in the order given."""
    seen: set[str] = set()
    for tag in given:
        key, value = check_key(tag.get("Key")), tag.get("Value")
        if value is None or len(value) > VALUE_LENGTH_MAX or not _allowed(value):
            raise errors.validation(f"The Tag Value provided is invalid, Value: {_shown(value)}")
        if key in seen:
            raise errors.validation(f"Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}")
        seen.add(key)
    check_count(len(given))
    return tuple((tag["Key"], tag["Value"]) for tag in given)


def check_key(key: str | None) -> str:
    if key is None or not 1 <= len(key) <= KEY_LENGTH_MAX or not _allowed(key):
        raise errors.validation(f"The Tag Key provided is invalid, Key: {_shown(key)}")
    if key.startswith("aws:"):
        raise errors.validation(f"Tag Key cannot be prefixed with aws:, Key: {key}")
    return key


def _shown(text: str | None) -> str:
    return "null" if text is None else text


def _allowed(text: str) -> bool:
    """Letters and digits of any script, spaces and a few signs."""
    return all(character.isalnum() or character.isspace() or character in PUNCTUATION for character in text)


def check_count(count: int) -> None:
    if count > TAGS_MAX:
        raise errors.validation("Number of Tags exceed the current limit for the provided ResourceArn")


def merged(old: Tags, new: Tags) -> Tags:
    """A key that is there keeps its place and gets its new value. The limit is checked on the whole."""
    both = dict(old) | dict(new)
    check_count(len(both))
    return tuple(both.items())


def stream_settings(tags: Tags) -> tuple[int, int]:
    """(shards of the next stream, retention in seconds) that these tags ask for."""
    values = dict(tags)
    shards = _number(values, SHARDS_TAG, 1, 1, STREAM_SHARDS_MAX)
    hours = _number(values, RETENTION_TAG, STREAM_RETENTION_S // 3600, 24, STREAM_RETENTION_S_MAX // 3600)
    return shards, hours * 3600


def _number(values: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = values.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise errors.invalid_parameter(f"The tag {name} takes a whole number from {least} to {most}")
    return int(text)


def retagged(table: Table, tags: Tags) -> Plan:
    """The plan that gives the table these tags instead of the ones it has."""
    shards, retention_s = stream_settings(tags)
    plan = Plan(reply=b"{}", streams=[])
    stream = table.stream
    if stream is not None and stream.enabled and stream.retention_s != retention_s:
        stream = replace(stream, retention_s=retention_s)
        plan.streams.append(stream)
    changed = replace(table, tags=tags, stream=stream, stream_shards=shards, stream_retention_s=retention_s)
    plan.tables = [(table.name, changed)]
    return plan


def tagged_table(arn: str, context: Context) -> Table:
    """The table that a ResourceArn names; TagResource and UntagResource say so where there is none."""
    table = find_tagged_table(arn, context)
    if table is None:
        raise errors.resource_not_found(f"Requested resource not found: ResourceArn: {arn} not found")
    return table


def find_tagged_table(arn: str, context: Context) -> Table | None:
    if not arn.startswith("arn:"):
        raise errors.invalid_parameter(f"ARNs must start with 'arn:': {arn}")
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "dynamodb" or not parts[5].startswith("table/"):
        raise errors.invalid_parameter(f"Provided Arn is not a DynamoDB resource arn: {arn}")
    name = parts[5].removeprefix("table/")
    if "/" in name:
        raise errors.invalid_parameter(
            f"Invalid resource arn provided, only table or stream is accepted. Provided resource arn: {arn}"
        )
    # Region and account must be ours: another account's table of the same name is another table.
    return context.view.find_table(name) if arn == table_arn(context, name) else None
