"""A real browser that looks at pages: it fails on errors in the console, failed requests and what axe finds serious,
and keeps a picture of each page at both sizes, dark and light.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    sync_playwright,
)

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
PICTURES = Path(__file__).parents[2] / "artefacts"
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}
THEMES = ("light", "dark")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium() -> str | None:
    """An installed browser; PENSTOCK_CHROMIUM names another."""
    named = os.environ.get("PENSTOCK_CHROMIUM")
    if named:
        return named
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Looker:
    """Pages of one server, each watched from the moment that it opens."""

    browser: Browser
    url: str
    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)  # Words of problems that a test provokes.

    @contextmanager
    def page(self, path: str, size: str = "wide", theme: str = "light") -> Iterator[Page]:
        width, height = SIZES[size]
        context: BrowserContext = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(15_000)
        page = context.new_page()
        self._watch(page)
        try:
            page.goto(f"{self.url}/console{path}", wait_until="load")
            yield page
        finally:
            context.close()

    def look_as(self, page: Page, size: str, theme: str) -> None:
        """The same page through another window, as somebody else would see it."""
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        # Two frames: charts and editors fit themselves to the window in the first.
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def _watch(self, page: Page) -> None:
        def said(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.problems.append(f"console {message.type}: {message.text}")

        def failed(request: Request) -> None:
            if request.failure != "net::ERR_ABORTED":  # The page was left.
                self.problems.append(f"request failed: {request.url} {request.failure}")

        def answered(response: Response) -> None:
            if response.status >= 400:
                self.problems.append(f"HTTP {response.status}: {response.url}")
            if not response.url.startswith((self.url, "data:", "blob:")):
                self.problems.append(f"loaded from elsewhere: {response.url}")

        page.on("console", said)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("requestfailed", failed)
        page.on("response", answered)

    def check(self, page: Page, where: str) -> None:
        """What axe finds serious, and a page that is wider than its window."""
        page.evaluate(AXE.read_text())
        found: list[dict[str, Any]] = page.evaluate(
            "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
        )
        for violation in found:
            if violation["impact"] in ("serious", "critical"):
                nodes = "; ".join(node["html"][:160] for node in violation["nodes"][:3])
                self.problems.append(f"{where}: axe {violation['impact']} {violation['id']}: {nodes}")
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            self.problems.append(f"{where}: {over} px wider than the window")

    def picture(self, page: Page, name: str, whole: bool = True) -> None:
        PICTURES.mkdir(exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", full_page=whole, animations="disabled")

    def none_wrong(self) -> None:
        left = [each for each in self.problems if not any(words in each for words in self.expected)]
        assert not left, "\n".join(left)
