"""DescribeEndpoints: where to send requests. Never an address of AWS: an SDK that discovers endpoints would follow it
and send a local application's data there. The answer is where `penstock serve` listens unless told otherwise.
"""

from __future__ import annotations

import orjson

from penstock.engine.plans import Context, Plan, Request
from penstock.operations import shapes

ADDRESS = "127.0.0.1:8000"
CACHE_MINUTES = 1440  # As AWS answers.


def run(request: Request, context: Context) -> Plan:
    shapes.check_shape("DescribeEndpoints", request)
    endpoint = {"Address": ADDRESS, "CachePeriodInMinutes": CACHE_MINUTES}
    return Plan(reply=orjson.dumps({"Endpoints": [endpoint]}))
