"""The list of background jobs that every database runs."""

from __future__ import annotations

from collections.abc import Callable

from penstock.database.backfill import backfill
from penstock.database.database import Database
from penstock.database.expiry import expire
from penstock.database.idempotency import forget_tokens
from penstock.database.sweeps import Job

JOBS: list[Callable[[Database], Job]] = [backfill, expire, forget_tokens]
