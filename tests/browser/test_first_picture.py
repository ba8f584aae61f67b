"""The picture in the README is the console as it is: made here, kept by `make screenshots`."""

from __future__ import annotations

import json
import re
import struct
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

from playwright.sync_api import expect

from tests.browser.demo import Demo
from tests.browser.looking import PICTURES, Looker

KEPT = Path(__file__).parents[2] / "docs" / "images" / "console.png"
BYTES_MAX = 300_000
FRAME = {"width": 1440, "height": 760}
EVENTS = 150


def _size(picture: Path) -> tuple[int, int]:
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def _be_busy(running: Demo) -> None:
    """Purchases and questions, so that something flows."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    events = [
        {
            "customer_id": f"c{n}",
            "purchase_id": f"busy{n}",
            "purchased_at": now,
            "category": "toys",
            "amount": n,
        }
        for n in range(EVENTS)
    ]
    body = "\n".join(map(json.dumps, events)).encode()
    urlopen(
        Request(f"{running.url}/events/Purchases", body, {"Content-Type": "application/x-ndjson"})
    ).close()
    for number in range(EVENTS):
        urlopen(f"{running.url}/predict/will_buy/customer/c{number}").close()


# Why: a picture in a README that nobody makes again shows a product that is gone.
def test_the_overview_is_the_readmes_picture(looker: Looker, running: Demo) -> None:
    with looker.page("/") as page:
        page.set_viewport_size(FRAME)  # type: ignore[arg-type]
        _be_busy(running)
        for arrow in ("b1", "b3", "e1"):
            expect(page.locator(f".arrow.{arrow} b")).to_have_text(re.compile("[1-9]"), timeout=20_000)
        looker.picture(page, "console", whole=False)
    assert _size(PICTURES / "console.png") == _size(KEPT) == (FRAME["width"], FRAME["height"])
    assert KEPT.stat().st_size < BYTES_MAX
    assert "docs/images/console.png" in (Path(__file__).parents[2] / "README.md").read_text()
