"""Plain-Python item access for people: `purchases.get(customer_id="c1", …)`, `.put({...})`, `.query(…)`.

Each call is one DynamoDB request, or as many as its pages need; what it sends is what the API documents, so a person can
start here and read the requests when it matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from penstock.app.plain import Plain, as_sent, from_item, to_item, to_value
from penstock.errors import UsageError


class Keys(Protocol):
    """The keys of an index."""

    @property
    def partition(self) -> str: ...
    @property
    def sort(self) -> str | None: ...


Call: TypeAlias = Callable[..., dict[str, Any]]


class Client(Protocol):
    """What an application asks of the store under it: any of the clients of penstock.connect, boto3's and a fake alike.

    Each is called with the names that the API has; what it declares of them is its own affair.
    """

    @property
    def put_item(self) -> Call: ...
    @property
    def get_item(self) -> Call: ...
    @property
    def update_item(self) -> Call: ...
    @property
    def delete_item(self) -> Call: ...
    @property
    def query(self) -> Call: ...
    @property
    def scan(self) -> Call: ...
    @property
    def batch_get_item(self) -> Call: ...
    @property
    def batch_write_item(self) -> Call: ...
    @property
    def transact_write_items(self) -> Call: ...
    @property
    def create_table(self) -> Call: ...
    @property
    def describe_table(self) -> Call: ...


class Keyed(Protocol):
    """What the calls need to know of a table."""

    @property
    def name(self) -> str: ...
    @property
    def partition_key(self) -> str: ...
    @property
    def sort_key(self) -> str | None: ...
    @property
    def indexes(self) -> Mapping[str, Keys]: ...
    @property
    def client(self) -> Client: ...


@dataclass(frozen=True)
class SortRange:
    """A condition on a sort key. Made by `between`, `begins_with`, `at_least`, `at_most`, `after`, `before`."""

    text: str
    operands: tuple[Plain, ...]

    def says(self) -> str:
        """In words, behind an attribute's name: `>= 100`, `begins with a`, `between 1 and 5`."""
        if self.text.startswith("begins_with"):
            return f"begins with {self.operands[0]}"
        if "BETWEEN" in self.text:
            return f"between {self.operands[0]} and {self.operands[1]}"
        return f"{self.text.split()[1]} {self.operands[0]}"


def between(low: Plain, high: Plain) -> SortRange:
    return SortRange("#s BETWEEN :s0 AND :s1", (low, high))


def begins_with(prefix: str | bytes) -> SortRange:
    return SortRange("begins_with(#s, :s0)", (prefix,))


def at_least(low: Plain) -> SortRange:
    return SortRange("#s >= :s0", (low,))


def at_most(high: Plain) -> SortRange:
    return SortRange("#s <= :s0", (high,))


def after(low: Plain) -> SortRange:
    return SortRange("#s > :s0", (low,))


def before(high: Plain) -> SortRange:
    return SortRange("#s < :s0", (high,))


def key_of(table: Keyed, key: Mapping[str, Plain]) -> dict[str, Any]:
    wanted = [table.partition_key] + ([table.sort_key] if table.sort_key else [])
    if sorted(key) != sorted(wanted):
        raise UsageError(f"the key of {table.name} is {', '.join(wanted)}; got {', '.join(key) or 'nothing'}")
    sent: dict[str, Any] = as_sent(to_item(key))
    return sent


def get(table: Keyed, key: Mapping[str, Plain], *, consistent: bool = False) -> dict[str, Plain] | None:
    answer = table.client.get_item(TableName=table.name, Key=key_of(table, key), ConsistentRead=consistent)
    return from_item(answer["Item"]) if "Item" in answer else None


def put(table: Keyed, item: Mapping[str, Plain]) -> None:
    table.client.put_item(TableName=table.name, Item=as_sent(to_item(item)))


def delete(table: Keyed, key: Mapping[str, Plain]) -> None:
    table.client.delete_item(TableName=table.name, Key=key_of(table, key))


def query_request(
    table: Keyed, index: str | None, keys: Mapping[str, Plain], backwards: bool
) -> dict[str, Any]:
    """The Query that the keys mean: equality on the partition key, and equality or a range on the sort key."""
    if index is None:
        partition, sort = table.partition_key, table.sort_key
    elif index in table.indexes:
        partition, sort = table.indexes[index].partition, table.indexes[index].sort
    else:
        raise UsageError(f"{table.name} has no index {index!r}; it has {', '.join(table.indexes) or 'none'}")
    if partition not in keys or not set(keys) <= {partition, sort}:
        raise UsageError(
            f"a query of {index or table.name} takes {partition}" + (f" and {sort}" if sort else "")
        )
    request: dict[str, Any] = {"TableName": table.name, "ScanIndexForward": not backwards}
    if index is not None:
        request["IndexName"] = index
    names, values, text = {"#p": partition}, {":p": as_sent(to_value(keys[partition]))}, "#p = :p"
    if sort is not None and sort in keys:
        given = keys[sort]
        condition = given if isinstance(given, SortRange) else SortRange("#s = :s0", (given,))
        names["#s"] = sort
        values |= {f":s{i}": as_sent(to_value(operand)) for i, operand in enumerate(condition.operands)}
        text += " AND " + condition.text
    request |= {
        "KeyConditionExpression": text,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
    return request


def query(
    table: Keyed, keys: Mapping[str, Plain], *, index: str | None, backwards: bool, limit: int | None
) -> Iterator[dict[str, Plain]]:
    """Items one by one, page after page, as they are asked for."""
    request = query_request(table, index, keys, backwards)
    left = limit
    while True:
        if left is not None:
            request["Limit"] = left
        page = table.client.query(**request)
        for item in page["Items"]:
            yield from_item(item)
        if left is not None:
            left -= len(page["Items"])
        if "LastEvaluatedKey" not in page or left == 0:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def scan(table: Keyed, *, index: str | None = None) -> Iterator[dict[str, Plain]]:
    """Every item, page after page. It reads, and on AWS bills, the whole table."""
    request: dict[str, Any] = {"TableName": table.name} | ({"IndexName": index} if index else {})
    while True:
        page = table.client.scan(**request)
        for item in page["Items"]:
            yield from_item(item)
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
