"""One number that makes a random test repeat itself.

    @pytest.mark.parametrize("seed", seeds(200))
    def test_no_crash_loses_an_answered_write(seed):
        with replayable(seed) as random:
            ...

R1. Everything random in the test comes from the `random.Random` that `replayable` gives.
R2. A failure names the seed; `PENSTOCK_SEED=<seed>` runs that one alone.
R3. Without it, the seeds are the same in every run: a test that fails today fails tomorrow. More of them
    (`PENSTOCK_SEEDS=10000`), or others (`PENSTOCK_SEED_FIRST=5000`), are asked for from outside.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager


def seeds(count: int) -> list[int]:
    """The seeds to run: `count` of them, unless the environment says otherwise."""
    only = os.environ.get("PENSTOCK_SEED")
    if only is not None:
        return [int(only)]
    first = int(os.environ.get("PENSTOCK_SEED_FIRST", "0"))
    return list(range(first, first + int(os.environ.get("PENSTOCK_SEEDS", str(count)))))


@contextmanager
def replayable(seed: int) -> Iterator[random.Random]:
    """Randomness from `seed`; an error that passes through says how to see it again."""
    try:
        yield random.Random(seed)
    except BaseException as error:
        error.add_note(f"replay with PENSTOCK_SEED={seed}")
        raise
