"""The documents hold: links lead somewhere, commands and options exist, snippets run, the README works word for word."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
import subprocess
import sys
import textwrap
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

import penstock
from penstock.app.tasks import TaskContext
from penstock.cli import reference
from penstock.cli.registry import COMMANDS
from penstock.connect.requests import REQUESTS
from penstock.console.rendering import NAVIGATION
from penstock.events.dead_letters import DeadLetters
from tests import following_pages
from tests.browser import demo
from tests.following_pages import Reader
from tests.upping import Upping, until, upping

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
TUTORIAL = ROOT / "docs" / "tutorial"


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in following_pages.blocks(page) if kind == language]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


# Why: an option that is not in the reference is one that nobody finds.
def test_the_reference_of_commands_is_what_the_commands_say() -> None:
    assert (ROOT / "docs/reference/cli.md").read_text() == reference.text(), "run `make reference`"


# Why: a document that leads nowhere is worse than none.
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


# Why: a page that no other page leads to is not read.
def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / link).resolve()
        for page in PAGES
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in link
    }
    unread = [name_of(page) for page in PAGES if page.resolve() not in linked and page.name != "README.md"]
    assert unread == []


# Why: a snippet that does not even parse was never run.
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_snippets_are_python(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(textwrap.dedent(block))


# Why: commands are renamed and options go; a page that shows the old ones costs its reader the first hour.
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_on_a_page_exist_with_their_options(page: Path) -> None:
    for block in blocks(page, "sh") + blocks(page, "console") + blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.removeprefix("$ ").strip()
            if words.startswith("penstock "):
                _check_command(shlex.split(words, comments=True)[1:])


def _check_command(words: list[str]) -> None:
    name = words[0]
    if name.startswith("-"):
        return
    known = {command.name: command for command in COMMANDS}
    assert name in known, f"there is no penstock {name}"
    loaded = known[name].load()
    if not isinstance(loaded, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name)(loaded)
        loaded = single
    told: Any = typer.main.get_command(loaded)
    children = getattr(told, "commands", None)
    if children is not None and len(words) > 1 and not words[1].startswith("-"):
        assert words[1] in children, f"there is no penstock {name} {words[1]}"
        told = children[words[1]]
    options = {option for each in told.params for option in [*each.opts, *each.secondary_opts]} | {
        "--help",
        "-h",
    }
    ends = next((place for place, word in enumerate(words) if word in ("|", "&&", ";", ">")), len(words))
    for word in words[:ends]:
        if re.match(r"--?[a-z]", word):
            assert word.split("=")[0] in options, f"penstock {name} has no {word}"


# Why: every setting of an application file is in one place, with what it means.
def test_every_setting_of_an_application_is_documented() -> None:
    text = "\n".join(page.read_text() for page in sorted((ROOT / "docs/reference").glob("*.md")))
    for method in (
        "table",
        "features",
        "predictor",
        "on_change",
        "http",
        "lake",
        "lake_table",
        "delivery",
        "setup",
        "task",
    ):
        function = getattr(penstock.App, method)
        assert f"app.{method}" in text
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                assert re.search(rf"`[^`]*\b{parameter.name}\b[^`]*`", text), (
                    f"app.{method}({parameter.name}=…)"
                )
    for name in vars(TaskContext):
        if not name.startswith("_"):
            assert f"ctx.{name}" in text


# Why: each operation of the API is either built or named among the differences; a reader must not have to try.
def test_every_operation_of_the_api_is_named() -> None:
    text = (ROOT / "docs/compatibility.md").read_text()
    assert [action for action in REQUESTS if action not in text] == []


# Why: a page of the console that nobody describes is found by chance; its words are those of the page itself.
def test_every_page_of_the_console_is_documented() -> None:
    text = (ROOT / "docs/reference/console.md").read_text()
    assert [
        label for _, label, _, _ in NAVIGATION if f"**{label}**" not in text and f"# {label}" not in text
    ] == []


# Why: what is exported is what people use; a name without a word anywhere is not public.
def test_every_public_name_is_documented() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    assert [name for name in penstock.__all__ if not re.search(rf"\b{name}\b", text)] == []


# Why: a newcomer begins with the README. Its file is run as it stands, and its commands, but for the ports.
def test_the_readme_can_be_followed_word_for_word(tmp_path: Path) -> None:
    page = ROOT / "README.md"
    file, notebook = blocks(page, "python")
    start, commands, make, *_ = blocks(page, "sh")
    assert start == "penstock up\n"
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make (\w+)", make, re.MULTILINE)) <= set(targets)
    with Reader(tmp_path) as reader:
        reader.write("app.py", file)
        said = reader.run(commands)
        assert '"stored":1' in said
        [answer] = re.findall(r'\{"requestId".*\}', said)
        assert set(json.loads(answer)["features"]) == {"orders_30d", "spent_30d"}
        ask = commands.rstrip().rpartition("\n")[2]
        until(
            lambda: "19.9" in reader.run(ask)
        )  # The lake is half a second behind, and a machine may be faster.
    printed = _run([sys.executable, "-c", notebook], tmp_path)
    assert printed.startswith("19.9")
    assert "'order_id': 'o1'" in printed


# Why: the way from events to a watched model is one story over four pages; each stands on what the one before left.
def test_the_tutorial_of_predictions_can_be_followed_word_for_word(tmp_path: Path) -> None:
    with Reader(tmp_path) as reader:

        def newest() -> str:
            assert reader.up is not None
            answer = reader.up.ask(reader.up.url("app") + "/predict/will_buy/customer/c1")[1]
            return str(answer["requestId"])

        reader.filled = {"6f0c…": newest}
        for name in (
            "your-first-prediction",
            "a-campaign",
            "train-promote-roll-back",
            "is-the-model-still-right",
        ):
            reader.follow(TUTORIAL / f"{name}.md")
        answer = json.loads(reader.run("curl localhost:8080/predict/will_buy/customer/c1"))
        assert answer["modelVersion"] == "2", "the tutorial promotes again what it rolled back"


# Why: the same for changes and the lake: handlers that fail and are mended, and questions about what they saw.
def test_the_tutorial_of_changes_and_sql_can_be_followed_word_for_word(tmp_path: Path) -> None:
    with Reader(tmp_path) as reader:

        def letter() -> str:
            assert reader.up is not None
            with penstock.connect(reader.up.url("api")) as client:
                return next(iter(DeadLetters(client).list("send_receipt"))).id

        reader.filled = {"179518582491825300003": letter}
        reader.follow(TUTORIAL / "react-to-changes.md")
        total = json.loads(reader.run("curl localhost:8080/totals/c1"), parse_float=Decimal)
        assert total == Decimal("12.5"), "exactly once"
        reader.filled = {
            "4095266020787134443": lambda: str(_newest_snapshot(reader)["version"]),
            "2026-11-20T10:00:00Z": lambda: str(_newest_snapshot(reader)["committed"]),
            "179518588563763200000": lambda: _newest_sequence(reader),
        }
        reader.follow(TUTORIAL / "ask-questions-in-sql.md")


def _newest_snapshot(reader: Reader) -> dict[str, Any]:
    told = _run(
        [sys.executable, "-m", "penstock", "lake", "snapshots", "current.purchases", "--json"], reader.folder
    )
    newest: dict[str, Any] = json.loads(told)[0]
    return newest


def _newest_sequence(reader: Reader) -> str:
    assert reader.up is not None
    return str(reader.up.sql("SELECT max(sequence) FROM raw.purchases")["rows"][0][0])


# Why: the first page is about the storefront that comes with the source; here it is the same with a small history.
def test_the_tutorial_of_the_storefront_can_be_followed_word_for_word(tmp_path: Path) -> None:
    begin, ask, models, own = blocks(TUTORIAL / "README.md", "sh")
    assert begin == "penstock up examples/storefront\n"
    with demo.storefront(tmp_path / "storefront", more="") as storefront, Reader(storefront.folder) as reader:
        reader.visit(storefront.up)
        assert '"prediction"' in reader.run(ask)
        assert "will_buy" in reader.run(models)
    assert own.splitlines() == ["penstock init shop", "penstock up shop"]


def _at(up: Upping, words: list[str]) -> list[str]:
    return [
        "curl",
        "-sS",
        *[word.replace("localhost:8080", up.url("app").removeprefix("http://")) for word in words[1:]],
    ]


def _run(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Why: `penstock init` writes somebody's first application; it has to run and its own test to pass.
def test_what_init_writes_runs_and_tests_itself(tmp_path: Path) -> None:
    _run([sys.executable, "-m", "penstock", "init", "shop"], tmp_path)
    shop = tmp_path / "shop"
    _run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."], shop)
    with upping(shop, app=(shop / "app.py").read_text()) as up:
        up.wait_until_ready()
        text = (shop / "README.md").read_text()
        [put] = re.findall(r"curl -X POST.*?\n.*", text)
        assert json.loads(_run(_at(up, shlex.split(put.replace("\\\n", " "))), shop))["stored"] == 1
        with urllib.request.urlopen(up.url("app")) as answer:  # Only the address, as somebody types it.
            assert answer.geturl() == up.url("app") + "/console/"
        [ask] = re.findall(r"curl localhost:8080/predict.*", text)
        answered = json.loads(_run(_at(up, ask.split()), shop))
        assert answered["modelVersion"] == "1"
        assert 0.01 < answered["probability"] < 0.99
