"""The documents about events: every setting has its heading, and the tutorial's application runs as printed."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.in_memory import memory_client

from penstock.app.application import App
from penstock.app.handlers import ChangeHandler
from penstock.events.ingest import Bounds
from penstock.events.settings import settings_of
from penstock.testing.databases import MemoryDatabase

DOCS = Path(__file__).parents[3] / "docs"
TUTORIAL = (DOCS / "tutorial" / "react-to-changes.md").read_text()
REFERENCE = (DOCS / "reference" / "events.md").read_text()


# Why: a setting that nobody can look up is not there.
def test_every_setting_has_its_heading() -> None:
    settings = {field.name for field in fields(ChangeHandler)} - {"table", "handler"}
    assert settings <= set(re.findall(r"^### `(\w+)`$", REFERENCE, re.MULTILINE))


# Why: the bounds that are printed are the bounds that are kept.
def test_the_bounds_of_ingestion_are_the_ones_printed() -> None:
    assert (Bounds().body_bytes, Bounds().events) == (8 * 1024 * 1024, 10_000)
    assert "more than 8 MB or 10,000 events" in REFERENCE


def tutorial_app() -> dict[str, Any]:
    """The tutorial's blocks, one after another, as one app.py; the one that speaks to a server is left out."""
    blocks = [
        block for block in re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL) if "connect(" not in block
    ]
    names: dict[str, Any] = {}
    exec("\n".join(blocks), names)
    return names


# Why: a tutorial that does not run costs each reader the time that it wanted to save.
def test_the_tutorials_application_is_declared_as_printed() -> None:
    names = tutorial_app()
    app = names["app"]
    assert isinstance(app, App)
    assert set(app.change_handlers) == {"watch", "jewelry_sold", "send_receipt", "add_up"}
    for declared in app.change_handlers.values():
        settings_of(declared)
    database = MemoryDatabase()
    client = memory_client(database)
    app.bind(client)
    for table in app.tables.values():
        client.create_table(**table.definition())
    database.pass_time(1.0)
    names["totals"].put({"customer": "c1", "amount": 7})
    [route] = app.http_handlers
    assert route.handler({"pathParameters": {"customer": "c1"}}, None) == {"statusCode": 200, "body": "7"}
