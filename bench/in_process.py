"""The embedded client: microseconds for one call, the sync apart."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable

from load import definition, item

import penstock

CALLS = 5000
ITEMS = 5 * CALLS


def timed_us(work: Callable[[int], object]) -> float:
    rounds = []
    for offset in range(5):
        start = time.perf_counter()
        for n in range(CALLS):
            work(offset * CALLS + n)
        rounds.append((time.perf_counter() - start) / CALLS * 1e6)
    return statistics.median(rounds)


def main() -> None:
    # durability="process": calls without the wait for the sync, which is the disk's time, not ours.
    with tempfile.TemporaryDirectory() as folder:
        client = penstock.connect(f"file:{folder}", durability="process")
        client.create_table(**definition("bench", indexed=False))
        put = timed_us(lambda n: client.put_item(TableName="bench", Item=item(n, ITEMS)))

        def key(n: int) -> dict[str, dict[str, str]]:
            return {"customer_id": {"S": f"c{n % (ITEMS // 50):05d}"}, "sk": {"S": f"p{n:09d}"}}

        get = timed_us(lambda n: client.get_item(TableName="bench", Key=key(n)))
        query = timed_us(
            lambda n: client.query(
                TableName="bench",
                KeyConditionExpression="customer_id = :c",
                ExpressionAttributeValues={":c": {"S": f"c{n % (ITEMS // 50):05d}"}},
                Limit=20,
            )
        )
        client.close()
    print(f"get_item {get:6.1f} µs   (to reach: 25)")
    print(f"put_item {put:6.1f} µs   (to reach: 80, plus the sync)")
    print(f"query    {query:6.1f} µs   (20 items)")


if __name__ == "__main__":
    main()
