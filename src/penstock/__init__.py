"""Penstock: ML engineering on DynamoDB, whole, from one command on one machine.

`penstock.connect(url)` gives a client for DynamoDB's API; `penstock.App(name)` declares an application.
"""

from penstock.app.access import after, at_least, at_most, before, begins_with, between
from penstock.app.application import App
from penstock.app.features import (
    ahead,
    computed,
    count,
    distinct,
    first,
    last,
    least,
    mean,
    most,
    ratio,
    requested,
    share,
    since_first,
    since_last,
    std,
    top,
    total,
)
from penstock.app.tables import everything, include, keys_only
from penstock.connect.urls import connect
from penstock.errors import Corruption, PenstockError, ServiceError, StoreUnavailable, UsageError

__all__ = [
    "App",
    "Corruption",
    "PenstockError",
    "ServiceError",
    "StoreUnavailable",
    "UsageError",
    "after",
    "ahead",
    "at_least",
    "at_most",
    "before",
    "begins_with",
    "between",
    "computed",
    "connect",
    "count",
    "distinct",
    "everything",
    "first",
    "include",
    "keys_only",
    "last",
    "least",
    "mean",
    "most",
    "ratio",
    "requested",
    "share",
    "since_first",
    "since_last",
    "std",
    "top",
    "total",
]
