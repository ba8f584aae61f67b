"""The storefront under a real `penstock up`, with a small history, for the browser tests and for looking at pages.

It is a copy of the example with smaller numbers, and three tables besides: of odd keys and values, of items that expire, and
of changes that a handler does not always take.

python -m tests.browser.demo            prints the address and serves until Ctrl-C
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import penstock
from penstock.connect.client import Client
from penstock.events.dead_letters import DeadLetters
from penstock.models.registry import Registry
from tests.upping import Upping, until, upping

EXAMPLE = Path(__file__).parents[2] / "examples" / "storefront"
SMALLER = {
    "shop.py": {"CUSTOMERS = 20_000": "CUSTOMERS = 240", "PURCHASES = 300_000": "PURCHASES = 2_400"},
    "live.py": {"FIRST_CUSTOMERS = 500": "FIRST_CUSTOMERS = 120", "LIVE_PER_S = 2.0": "LIVE_PER_S = 0.5"},
}
MORE = """
app.table("Sessions", partition_key="session_id", time_to_live="expires_at")
app.table("Ledger", partition_key="account:N", sort_key="line:B")
returns = app.table("Returns", partition_key="return_id", stream=True)


@app.on_change(returns, batch_size=10, maximum_retry_attempts=0, bisect_batch_on_function_error=False)
def notify(event, context):
    for record in event["Records"]:
        if record["dynamodb"]["NewImage"]["category"]["S"] == "toys":
            raise ValueError("the toy shop's address is not known <yet>")


@app.setup
def odd_items(ctx):
    for number in range(3):
        ctx.client.put_item(TableName="Ledger", Item={
            "account": {"N": str(number)},
            "line": {"B": b"\\x00\\xff"},
            "note": {"S": "<script>alert('no')</script>"},
            "flags": {"SS": ["a", "b"]},
            "more": {"M": {"deep": {"L": [{"N": "1"}, {"BOOL": True}, {"NULL": True}]}}},
        })
"""
# The storefront's own labels take a week to come; these are there at once.
LABELS = (
    "SELECT requestId, hash(entity) % 10 < 7 AS label FROM current.InferenceMetadata WHERE entity IS NOT NULL"
)
ANSWERS = 40


@dataclass
class Demo:
    """A running product. `url` is where the application is served, `folder` where its app.py and boards are."""

    up: Upping
    url: str
    api_url: str
    client: Client
    folder: Path

    def send_back(self) -> None:
        """Twenty returns, of which the handler cannot take any: half are toys, and a batch fails as a whole."""
        puts = [
            {
                "PutRequest": {
                    "Item": {"return_id": {"S": f"r{n}"}, "category": {"S": "toys" if n % 2 else "home"}}
                }
            }
            for n in range(20)
        ]
        self.client.batch_write_item(RequestItems={"Returns": puts})
        until(lambda: any(True for _ in DeadLetters(self.client).list("notify")), self.up)


@contextmanager
def storefront(folder: Path, *options: str, more: str = MORE) -> Iterator[Demo]:
    """Up, with all of its history loaded and in the lake, both models trained, and some answers on record."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "data"))
    for name, numbers in SMALLER.items():
        text = (folder / name).read_text()
        for large, small in numbers.items():
            assert large in text, f"{name} has no {large!r} any more"
            text = text.replace(large, small)
        (folder / name).write_text(text)
    (folder / "labels" / "will_buy.sql").write_text(LABELS)
    with upping(folder, *options, app=(EXAMPLE / "app.py").read_text() + more) as up:
        up.wait_until_ready()
        with penstock.connect(up.url("api")) as client:
            for number in range(ANSWERS):
                urlopen(f"{up.url('app')}/predict/will_buy/customer/c{number % 30}").close()
            until(lambda: len(Registry(client).versions("will_buy")) == 2, up)
            until(lambda: _answers_in_lake(up) >= ANSWERS, up)
            yield Demo(up, up.url("app"), up.url("api"), client, folder)


def _answers_in_lake(up: Upping) -> int:
    answer = up.sql("SELECT count(*) FROM current.inferencemetadata")
    return int(answer["rows"][0][0]) if "rows" in answer else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary, storefront(Path(temporary) / "storefront") as demo:
        print(f"{demo.url}/console/", flush=True)
        try:
            demo.up.process.wait()
        except KeyboardInterrupt:
            sys.exit(0)
