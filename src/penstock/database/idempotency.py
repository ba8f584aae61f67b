"""Forgetting client request tokens: the sweep of what engine/transactions.py remembers for ten minutes."""

from __future__ import annotations

import logging
from itertools import islice

from penstock.database.database import Database
from penstock.database.sweeps import Job
from penstock.engine.plans import Plan
from penstock.engine.transactions import TOKEN, TOKEN_EXPIRY
from penstock.errors import StoreUnavailable
from penstock.model.keys import after
from penstock.store.interface import Family

log = logging.getLogger("penstock.database")

STEP_TOKENS = 256
PAUSE_S = 10.0


def forget_tokens(database: Database) -> Job:
    while True:
        context = database.context()
        bound = TOKEN_EXPIRY + context.now_us.to_bytes(8, "big")
        found = list(
            islice(
                database.store.scan(Family.META, TOKEN_EXPIRY, min(bound, after(TOKEN_EXPIRY))), STEP_TOKENS
            )
        )
        if found:
            plan = Plan(meta=[])
            for key, _ in found:
                expiry, token = key[len(TOKEN_EXPIRY) :][:8], key[len(TOKEN_EXPIRY) + 8 :]
                plan.meta.append((key, None))
                held = database.store.get(Family.META, TOKEN + token)
                if held is not None and held[:8] == expiry:  # Else the token was used again since.
                    plan.meta.append((TOKEN + token, None))
            try:
                database.apply(plan)
            except StoreUnavailable as error:
                log.warning("client request tokens stay for now: %s", error)
                yield PAUSE_S
                continue
        yield 0.0 if len(found) == STEP_TOKENS else PAUSE_S
