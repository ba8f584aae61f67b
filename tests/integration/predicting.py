"""The predict API on a socket: uvicorn in a thread, over any client."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from penstock import App
from penstock.serving.http import build_app


@contextmanager
def served(app: App, client: Any, artifacts: Path | None = None) -> Iterator[str]:
    """The URL of the application's predict API."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(build_app(app, client, artifacts=artifacts), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        deadline_s = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline_s
            thread.join(0.01)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
