"""The predict API against its own OpenAPI description: schemathesis makes up requests, good and bad."""

from __future__ import annotations

import os
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from tests.shop import Shop

shop = Shop()
shop.buy("c1", "p1", "20", days_ago=1, category="jewelry")
shop.add_model()
schema = schemathesis.openapi.from_asgi("/openapi.json", shop.api)

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "40"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]


# Why: what is documented has to be true of any request: no 500, only the statuses and bodies that the description lists.
@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_described(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(checks=CHECKS)
