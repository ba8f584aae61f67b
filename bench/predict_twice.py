"""Online against offline, bit for bit: answers given from the indexes as a random history went on, and the same pairs asked of the
history afterwards, at the positions that they were answered at. It counts the pairs that differ; to reach: 0 of a million.

    python bench/predict_twice.py [--pairs 1000000] [--seed 1] [--lake]

Each pair is asked for two feature sets, of all kinds of features (tests/twice.py); `--lake` asks the lake's SQL too, not only the
stream. Histories of 5,000 pairs follow each other, each with a seed of its own that replays it: `--pairs 5000 --seed N`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.landing import Landing  # noqa: E402
from tests.shop import Shop  # noqa: E402
from tests.twice import application, differing, lived  # noqa: E402

CHUNK = 5000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lake", action="store_true")
    arguments = parser.parse_args()
    began_s, done, wrong, seed = time.monotonic(), 0, 0, arguments.seed
    while done < arguments.pairs:
        shop = Shop(application())
        with tempfile.TemporaryDirectory() as folder:
            landing = Landing(shop, Path(folder)) if arguments.lake else None
            spine, answers = lived(shop, Random(seed), min(CHUNK, arguments.pairs - done))
            histories: list[Any] = [shop.client] if landing is None else [shop.client, landing.drain()]
            for history in histories:
                for row, then, now in differing(shop, spine, answers, history):
                    wrong += 1
                    print(f"seed {seed}: {row}: answered {then}, afterwards {now}")
        done += len(spine)
        seed += 1
        if seed % 10 == 0 or done >= arguments.pairs:
            rate = done / (time.monotonic() - began_s)
            print(f"{done:,} pairs, {wrong} mismatches, {rate:,.0f} pairs/s", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
