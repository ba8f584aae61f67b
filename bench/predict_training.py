"""Training sets: questions joined to purchases as known then, from columns as the lake gives them.

    python bench/predict_training.py [--purchases 10000000] [--rows 1000000]

To reach: a million questions over ten million purchases within 60 s. The columns are made here; reading them out of a lake is
bench/lake_*.py's to measure.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.shop import storefront  # noqa: E402

from penstock.features.columns import FAR, Attribute, Columns, History, Question  # noqa: E402
from penstock.features.definition import compile_set  # noqa: E402
from penstock.features.instants import DAY_US  # noqa: E402

START_US = 1_767_225_600_000_000


def history(purchases: int, random: numpy.random.Generator) -> History:
    customers = purchases // 50
    entity = numpy.sort(random.integers(0, customers, purchases))
    instant = START_US + random.integers(0, 180 * DAY_US, purchases)
    order = numpy.lexsort((instant, entity))
    entity, instant = entity[order], instant[order]
    late = random.random(purchases) < 0.02
    known = instant + numpy.where(late, random.integers(0, 5 * DAY_US, purchases), 0)
    ever = numpy.full(purchases, FAR, dtype=numpy.int64)
    none = numpy.zeros(purchases, dtype=numpy.int64)
    amounts = [{"N": f"{n // 100}.{n % 100:02}"} for n in range(100, 50_000)]
    kinds = [{"S": name} for name in ("jewelry", "books", "garden", "toys")]
    return History(
        {("S", f"c{n}"): n for n in range(customers)},
        entity,
        instant,
        known,
        ever,
        (none, none),
        (ever, none),
        {
            "amount": Attribute(random.integers(0, len(amounts), purchases), amounts),
            "category": Attribute(random.integers(0, len(kinds), purchases), kinds),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--purchases", type=int, default=10_000_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    random = numpy.random.default_rng(7)
    plan = compile_set(storefront().feature_sets["buyer"])
    held = history(arguments.purchases, random)
    times = (START_US + random.integers(30 * DAY_US, 180 * DAY_US, arguments.rows)).tolist()
    who = random.integers(0, len(held.entities), arguments.rows).tolist()
    questions = [Question(("S", f"c{n}"), at, None, at) for n, at in zip(who, times, strict=True)]
    began_s = time.perf_counter()
    rows = Columns(plan, [held]).features(questions, [{}] * len(questions))
    passed_s = time.perf_counter() - began_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(rows):,} rows over {arguments.purchases:,} purchases in {passed_s:.1f} s, {peak_mb:,.0f} MB at most"
    )


if __name__ == "__main__":
    main()
