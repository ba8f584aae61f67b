"""Tags of a table, and the two that Penstock itself reads.

    penstock:stream-shards            1 to 64: how many shards the table's next stream opens with (1)
    penstock:stream-retention-hours   24 to 8760: how long the records of its stream are kept (24)

They are given with CreateTable or TagResource. Being tags, they go to AWS unchanged, where they mean nothing.
The number of shards is read when a stream is enabled; the retention holds at once, also for the stream that is open.
"""

from __future__ import annotations

from typing import Any

from penstock import errors
from penstock.limits import STREAM_RETENTION_S, STREAM_RETENTION_S_MAX, TAGS_MAX

SHARDS_TAG = "penstock:stream-shards"
RETENTION_TAG = "penstock:stream-retention-hours"
STREAM_SHARDS_MAX = 64
Tags = tuple[tuple[str, str], ...]


def tags_of(given: list[dict[str, Any]]) -> Tags:
    """Tags of a request in the order given."""
    names = [tag["Key"] for tag in given]
    if len(set(names)) != len(names):
        raise errors.invalid_parameter("Duplicate tag keys found")
    for name in names:
        if name.lower().startswith("aws:"):
            raise errors.invalid_parameter(f"One or more tag keys reserved for AWS: {name}")
    return tuple((tag["Key"], tag["Value"]) for tag in given)


def merged(old: Tags, new: Tags) -> Tags:
    """A key that is there keeps its place and gets its new value."""
    both = dict(old) | dict(new)
    if len(both) > TAGS_MAX:
        raise errors.invalid_parameter("Tags cannot be more than 50")
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
