"""A board as a picture or a document: its own page, printed by a browser that is installed here.

The page is what people look at, so nothing is drawn a second time. Any Chromium will do: Chromium, Chrome or Edge. It is run
without a window and without a profile, and loads nothing but the page.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

from penstock.console.guard import PREFIX
from penstock.errors import UsageError

VARIABLE = "PENSTOCK_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "chrome")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
_OPTIONS = (
    "--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
)  # fmt: skip
FORMATS = (".png", ".pdf")
WIDTH = 1440
HEIGHT = 900
LOAD_MS = 20_000  # Of the page's own time, which stands still while it waits for answers.
WITHIN_S = 90.0
_DRAWN = re.compile(r'<html[^>]*\sdata-drawn="(\d+)"')


def find_browser() -> str:
    named = os.environ.get(VARIABLE)
    found = named or next(filter(None, map(shutil.which, _NAMES)), None)
    found = found or next((place for place in _PLACES if Path(place).exists()), None)
    if found is None:
        raise UsageError(
            f"a board is exported by a browser: install Chromium, Chrome or Edge, or name one in {VARIABLE}"
        )
    return found


def board_url(app_url: str, name: str, values: Sequence[tuple[str, str]]) -> str:
    return (
        f"{app_url.rstrip('/')}{PREFIX}/boards/{quote(name, safe='')}?{urlencode([('print', '1'), *values])}"
    )


def export(url: str, out: Path, *, dark: bool = False, width: int = WIDTH) -> None:
    """Write `out`, whose ending says what it is. Raises UsageError where the page does not get drawn."""
    if out.suffix.lower() not in FORMATS:
        raise UsageError(f"{out}: a board is exported as {' or '.join(FORMATS)}")
    browser = find_browser()
    options = [
        f"--window-size={width},{HEIGHT}",
        *(["--blink-settings=preferredColorScheme=0"] if dark else []),
    ]
    drawn = _DRAWN.search(_run(browser, [*options, "--dump-dom"], url))
    if drawn is None:
        raise UsageError(f"the board was not drawn; does {url} open in a browser?")
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".pdf":
        _run(browser, [*options, f"--print-to-pdf={out.resolve()}", "--no-pdf-header-footer"], url)
    else:
        whole = [f"--window-size={width},{max(HEIGHT, int(drawn[1]))}", *options[1:]]
        _run(browser, [*whole, f"--screenshot={out.resolve()}"], url)
    if not out.exists():
        raise UsageError(f"{browser} wrote no {out}")


def _run(browser: str, options: Sequence[str], url: str) -> str:
    # As root, as in a container, Chromium refuses to run with its sandbox.
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser, *_OPTIONS, *sandbox, f"--user-data-dir={profile}", f"--virtual-time-budget={LOAD_MS}", *options, url,
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=WITHIN_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"{browser} did not finish: {error}") from error
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise UsageError(f"{browser} failed: {' '.join(last)}")
    return done.stdout.decode("utf-8", "replace")
