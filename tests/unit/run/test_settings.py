"""Settings as they are handed to each process."""

from __future__ import annotations

from pathlib import Path

from penstock.run.settings import Settings, from_text, to_text, with_port


# Why: a process is started with this text; a setting that it loses is a setting that does nothing.
def test_settings_survive_the_way_to_a_process() -> None:
    settings = Settings(Path("shop/app.py"), Path("data"), 1, 2, 3, "aws:eu-west-1", "file:/srv/lake")
    assert from_text(to_text(settings)) == settings


# Why (S4): a port that was taken from the free ones is told to the others.
def test_a_port_that_was_taken_replaces_the_one_that_was_asked_for() -> None:
    settings = with_port(Settings(Path("app.py"), Path("data"), api_port=0), "api_port", 4711)
    assert settings.api_url == "http://127.0.0.1:4711"


# Why: with tables elsewhere nothing may speak to a local port that nobody listens on.
def test_a_store_elsewhere_is_where_the_api_is() -> None:
    assert Settings(Path("app.py"), Path("data"), store="aws:eu-west-1").api_url == "aws:eu-west-1"
