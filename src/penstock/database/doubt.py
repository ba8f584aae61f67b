"""Ending doubt: after a failed sync, an empty batch now and then, so that what is doubtful does not wait for a client's
next write to become certain (G4 in group_commit.py)."""

from __future__ import annotations

from penstock.database.database import Database
from penstock.database.sweeps import IDLE_S, Job
from penstock.errors import StoreUnavailable


def end_doubt(database: Database) -> Job:
    commit, store = database.commit, database.store
    while True:
        if commit.doubtful is not None and commit.lost is None:
            try:
                store.write(store.batch())
            except StoreUnavailable as error:
                commit.refused(error)
            else:
                commit.applied((), database.catalog.last_sequence)
        yield IDLE_S
