"""A campaign over ten million purchases through the command line: customers/s, and the most memory that each process took.

    python bench/predict_at_scale.py [--purchases 10000000] [--data FOLDER] [--beside]

To reach: at most 1 GB resident in each process. `--beside` lets another process own the data, as `penstock up` does, so that
two cores work. `--data` keeps what was loaded: the next run with it loads nothing. Loading ten million takes some ten minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.shop import storefront, trained  # noqa: E402

import penstock  # noqa: E402
from penstock.features.instants import DAY_US, text_of  # noqa: E402
from penstock.models.register import register  # noqa: E402
from penstock.models.registry import DEFINITION, Registry  # noqa: E402

EVENTS = 50
OWNER = (
    "import penstock, sys\n"
    "client = penstock.connect(sys.argv[1]); client.list_tables(); print('ready', flush=True); sys.stdin.read()"
)


def load(data: Path, purchases: int) -> None:
    """Customers of 50 purchases, a third of each in jewelry."""
    random = Random(7).random
    app = storefront()
    # Nobody reads the changes of this table.
    app.tables["Purchases"] = replace(app.tables["Purchases"], stream=False)
    now_us = time.time_ns() // 1000
    with penstock.connect(f"file:{data}", durability="process") as client:
        for definition in (*(table.definition() for table in app.tables.values()), DEFINITION):
            client.create_table(**definition)
        registry = Registry(client)
        register(registry, "will_buy", *trained())
        registry.promote("will_buy", 1)
        began_s = time.monotonic()
        for customer in range(purchases // EVENTS):
            for start in range(0, EVENTS, 25):
                puts = [
                    {"PutRequest": {"Item": {
                        "customer_id": {"S": f"c{customer:08}"},
                        "purchase_id": {"S": f"p{number}"},
                        "purchased_at": {"S": text_of(now_us - int(random() * 89 * DAY_US))},
                        "amount": {"N": f"{1 + random() * 499:.2f}"},
                        "category": {"S": ("jewelry", "books", "garden")[number % 3]},
                    }}}
                    for number in range(start, start + 25)
                ]  # fmt: skip
                client.batch_write_item(RequestItems={"Purchases": puts})
            if customer % 20_000 == 19_999:
                rate = (customer + 1) * EVENTS / (time.monotonic() - began_s)
                print(f"  loaded {(customer + 1) * EVENTS:,} purchases, {rate:,.0f}/s", flush=True)


def ended(process: subprocess.Popen[str]) -> float:
    """Wait for a process; the most memory that it took, in MB."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{process.args} ended with {process.returncode}")
    return used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--purchases", type=int, default=10_000_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data = arguments.data or scratch / "data"
        if not data.exists():
            loader = subprocess.Popen(
                [sys.executable, "-c", "import sys; sys.path[:0] = sys.argv[1:3]; from pathlib import Path; "
                 "import predict_at_scale as b; b.load(Path(sys.argv[3]), int(sys.argv[4]))",
                 str(ROOT), str(ROOT / "bench"), str(data), str(arguments.purchases)], text=True)  # fmt: skip
            print(f"load: {ended(loader):,.0f} MB at most")
        (scratch / "app.py").write_text("from tests.shop import storefront\n\napp = storefront()\n")
        owner = None
        if arguments.beside:
            owner = subprocess.Popen(
                [sys.executable, "-c", OWNER, f"file:{data}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )  # fmt: skip
            assert owner.stdout is not None
            assert owner.stdin is not None
            owner.stdout.readline()
        threads = arguments.threads or (8 if arguments.beside else 1)
        began_s = time.perf_counter()
        campaign = subprocess.Popen(
            [sys.executable, "-m", "penstock", "predict", "will_buy", "--category", "jewelry", "--json",
             "--app", str(scratch / "app.py"), "--data", str(data), "--threads", str(threads),
             "--out", str(scratch / "out.parquet")],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        )  # fmt: skip
        peak_mb = ended(campaign)
        passed_s = time.perf_counter() - began_s
        customers = arguments.purchases // EVENTS
        print(f"campaign: {customers:,} customers in {passed_s:.1f} s, {customers / passed_s:,.0f}/s, start and file included")  # fmt: skip
        print(f"campaign: {peak_mb:,.0f} MB at most (to reach: 1,000)")
        if owner is not None and owner.stdin is not None:
            owner.stdin.close()
            print(f"owner of the data: {ended(owner):,.0f} MB at most (to reach: 1,000)")


if __name__ == "__main__":
    main()
