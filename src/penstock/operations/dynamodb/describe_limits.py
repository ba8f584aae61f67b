"""DescribeLimits: the quotas of a new account. Penstock holds nobody to them; programs that ask get AWS's numbers."""

from __future__ import annotations

import orjson

from penstock.engine.plans import Context, Plan, Request
from penstock.operations import shapes

# developerguide/ServiceQuotas: capacity units, by account and by table.
LIMITS = {
    "AccountMaxReadCapacityUnits": 80_000,
    "AccountMaxWriteCapacityUnits": 80_000,
    "TableMaxReadCapacityUnits": 40_000,
    "TableMaxWriteCapacityUnits": 40_000,
}


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("DescribeLimits", request)
    return Plan(reply=orjson.dumps(LIMITS))
