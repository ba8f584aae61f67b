"""Deliveries under `kill -9`: whatever the moment, each record id is in the table once, and none that was answered is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from penstock.app.lake import Delivery
from penstock.lake.clock import SystemClock
from penstock.lake.delivery import DeliveryStream, DeliveryWriter, Spool
from penstock.lake.iceberg.warehouse import open_warehouse
from penstock.sql.lake import open_lake

KILLS, IDS_A_LIFE = 10, 40


def live(folder: Path, life: int) -> None:
    """The child: put records one by one, some a second time, flush between them, and say what was answered."""
    spool = Spool(folder, SystemClock())
    stream = DeliveryStream("clicks", spool, id_field="id")
    writer = DeliveryWriter(open_warehouse(folder), Delivery("clicks"), spool)
    chance = random.Random(life)
    print("began", flush=True)
    # The life before may have put ids whose answer nobody heard: a client puts them again.
    for number in range(max(0, (life - 1) * IDS_A_LIFE), (life + 1) * IDS_A_LIFE):
        stream.put({"id": f"c{number}", "life": life})
        print(f"c{number}", flush=True)
        if chance.random() < 0.3:
            stream.put({"id": f"c{chance.randrange(number + 1)}", "life": life})
        if chance.random() < 0.4:
            writer.flush()
    print("ended", flush=True)


def _killed(folder: Path, life: int, lines: int) -> list[str]:
    """Run a life and kill it behind so many lines of its answers; what it answered."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.simulation.test_lake_deliveries", str(folder), str(life)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    told: list[str] = []
    try:
        for line in child.stdout:
            told.append(line.strip())
            if len(told) > lines:
                break
        child.kill()
        told += [line.strip() for line in child.stdout.read().splitlines()]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    return [line for line in told if line.startswith("c")]


# Why: Y1 to Y3 of deliveries, with real deaths: in a put, in a commit, between a commit and the clearing of the spool.
def test_killed_deliveries_lose_and_double_nothing(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    answered: set[str] = set()
    for life in range(KILLS):
        answered |= set(_killed(tmp_path, life, chance.randrange(2, IDS_A_LIFE + 20)))
    spool = Spool(tmp_path, SystemClock())
    writer = DeliveryWriter(open_warehouse(tmp_path), Delivery("clicks"), spool)
    while writer.flush():
        pass
    rows = open_lake(str(tmp_path)).sql("SELECT _key, id FROM deliveries.clicks").rows()
    ids = [row["id"] for row in rows]
    assert len(ids) == len(set(ids)), f"doubled, seed {seed}"
    assert answered <= set(ids), f"lost {json.dumps(sorted(answered - set(ids)))}, seed {seed}"
    assert len(answered) > KILLS
    assert spool.waiting("clicks")[0] == 0


if __name__ == "__main__":
    live(Path(sys.argv[1]), int(sys.argv[2]))
