"""DescribeLimits over the wire."""

from __future__ import annotations

from typing import Any


# Why: [A] the four quotas of an account; a table's are within the account's.
def test_the_four_limits_are_told(db: Any) -> None:
    limits = db.describe_limits()
    for kind in ("Read", "Write"):
        assert 0 < limits[f"TableMax{kind}CapacityUnits"] <= limits[f"AccountMax{kind}CapacityUnits"]
