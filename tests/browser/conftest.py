"""One `penstock up` and one browser for all browser tests. Without an installed Chromium they are skipped, and say so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import demo
from tests.browser.looking import Looker, chromium, open_browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("no Chromium is installed; PENSTOCK_CHROMIUM names one")
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def running(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[demo.Demo]:
    with demo.storefront(tmp_path_factory.mktemp("product") / "storefront") as started:
        yield started


@pytest.fixture(scope="session")
def returned(running: demo.Demo) -> demo.Demo:
    """With dead letters, which the overview then shows before all else."""
    running.send_back()
    return running


@pytest.fixture
def looker(browser: Browser, running: demo.Demo) -> Iterator[Looker]:
    """A test fails on anything that went wrong in a page, whatever else it looked at."""
    looking = Looker(browser, running.url)
    yield looking
    looking.none_wrong()
