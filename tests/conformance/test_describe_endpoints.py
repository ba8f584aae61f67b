"""DescribeEndpoints over the wire."""

from __future__ import annotations

from typing import Any


# Why: [A] an address and how long it may be kept. It must not lead clients away from the endpoint that they asked.
def test_an_endpoint_is_told(db: Any) -> None:
    [endpoint] = db.describe_endpoints()["Endpoints"]
    assert endpoint["Address"]
    assert endpoint["CachePeriodInMinutes"] > 0
