"""The list of background jobs that every database runs."""

from __future__ import annotations

from collections.abc import Callable

from penstock.database.backfill import backfill
from penstock.database.changefeed import time_out_waits
from penstock.database.database import Database
from penstock.database.doubt import end_doubt
from penstock.database.expiry import expire
from penstock.database.idempotency import forget_tokens
from penstock.database.sweeps import Job
from penstock.database.trimming import trim_changes

JOBS: list[Callable[[Database], Job]] = [
    backfill,
    end_doubt,
    expire,
    forget_tokens,
    time_out_waits,
    trim_changes,
]
