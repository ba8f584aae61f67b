"""What `penstock up` shows: what is wrong and what was said, and no more."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from penstock.run.settings import Settings
from penstock.run.state import ProcessState
from penstock.run.terminal import Terminal, to_try

SETTINGS = Settings(Path("app.py"), Path("data"))


def shown(*, all_lines: bool = False, terminal: bool = False) -> tuple[Terminal, io.StringIO]:
    page = io.StringIO()
    console = Console(file=page, force_terminal=terminal, width=100, highlight=False)
    return Terminal(console, lambda: SETTINGS, all_lines=all_lines), page


# Why: a newcomer sees warnings and what a handler prints; the rest is in the files.
def test_information_stays_in_the_files_and_warnings_are_shown() -> None:
    terminal, page = shown()
    for text in (
        "INFO penstock.table: made Orders",
        "WARNING x: late",
        "Traceback (most recent call last):",
        "printed",
    ):
        terminal.line("worker", text)
    assert [line.split("│ ")[1] for line in page.getvalue().splitlines()] == [
        "WARNING x: late",
        "Traceback (most recent call last):",
        "printed",
    ]


# Why: --logs is for whoever looks for something.
def test_all_lines_are_shown_where_asked_for() -> None:
    terminal, page = shown(all_lines=True)
    terminal.line("table", "INFO all is well")
    assert page.getvalue() == "table  │ INFO all is well\n"


# Why: in a pipe a bar that redraws itself is noise; a line at each tenth is not.
def test_progress_without_a_terminal_is_a_line_at_each_tenth() -> None:
    terminal, page = shown()
    for done in range(1001):
        terminal.progress("history", done, 1000, "rows")
    lines = page.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[5] == "worker │ history 500/1,000 rows"


# Why: a task that is done must not begin its bar again when it is run again.
def test_a_finished_bar_stays_finished() -> None:
    terminal, page = shown(terminal=True)
    terminal.progress("history", 1, 2, "rows")
    terminal.progress("history", 2, 2, "rows")
    terminal.progress("history", 2, 2, "rows")
    terminal.end()
    assert page.getvalue().count("history: 2 rows") == 1


# Why: a process that died is news; each of its states is not.
def test_a_death_is_shown_with_what_follows() -> None:
    terminal, page = shown()
    terminal.changed(ProcessState("lake", "starting"))
    terminal.changed(ProcessState("lake", "waiting", detail="was killed by signal 9; starts again in 0.2 s"))
    terminal.changed(ProcessState("lake", "starting", restarts=1))
    terminal.changed(ProcessState("lake", "ready", restarts=1, addresses={"lake": "http://127.0.0.1:8181"}))
    assert page.getvalue().splitlines() == [
        "lake   │ was killed by signal 9; starts again in 0.2 s",
        "lake   │ ready again · SQL, Iceberg catalog http://127.0.0.1:8181",
    ]


# Why: the commands are typed as they stand; with data elsewhere they would otherwise ask the wrong place.
def test_what_to_try_names_data_that_lie_elsewhere() -> None:
    facts = {"example": "/predict/will_buy/customer/c1", "lake_table": "Purchases"}
    assert to_try(facts, SETTINGS, "penstock") == [
        "curl http://127.0.0.1:8080/predict/will_buy/customer/c1",
        'penstock sql "SELECT count(*) FROM current.purchases"',
        "penstock status",
    ]
    elsewhere = Settings(Path("app.py"), Path("/srv/shop"), app_port=9)
    assert to_try(facts, elsewhere, "p") == [
        "curl http://127.0.0.1:9/predict/will_buy/customer/c1",
        'p sql "SELECT count(*) FROM current.purchases" --lake file:/srv/shop/lake',
        "p status --data /srv/shop",
    ]
    owed = {"example": "/predict/p/sensor/1?ambient_c=1&load=1"}
    assert (
        to_try(owed, SETTINGS, "p")[0] == "curl 'http://127.0.0.1:8080/predict/p/sensor/1?ambient_c=1&load=1'"
    )
