"""What the console is given by the process that mounts it: the ways to tables, lake and application, and who may come in."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from penstock.app.application import App
from penstock.connect.client import Client
from penstock.metrics.registry import Registry
from penstock.serving.store import AsyncStore


def _now_us() -> int:
    return time.time_ns() // 1000


@dataclass
class Context:
    """`store` is called on the event loop, `client` in threads only: both are the same AWS API.

    `loopback` is false where the address is reachable from elsewhere: then `password` is asked for, and there must be one.
    """

    app: App
    store: AsyncStore
    client: Client
    api_url: str = "http://127.0.0.1:8000"
    lake_url: str | None = "http://127.0.0.1:8181"
    app_file: Path | None = None  # For what runs a user's code in a process of its own.
    boards: Path = Path("boards")
    models: Path | None = None  # The folder of model artifacts.
    loopback: bool = True
    password: str | None = None
    metrics: Registry | None = None
    # Written to streams since the start; not known of tables elsewhere.
    changes: Callable[[], int] | None = None
    now_us: Callable[[], int] = _now_us
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
