"""One definition, two places: what was answered from the indexes then is what training sees of it afterwards, bit for bit."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.landing import Landing
from tests.shop import Shop
from tests.twice import application, differing, lived

from penstock.testing.seeds import replayable, seeds


# Why: "0 mismatches between online and offline", the small run. bench/predict_twice.py is the million.
@pytest.mark.parametrize("seed", seeds(3))
def test_training_sees_what_was_answered_then(seed: int, tmp_path: Path) -> None:
    with replayable(seed) as random:
        shop = Shop(application())
        landing = Landing(shop, tmp_path) if seed % 2 == 0 else None
        spine, answers = lived(shop, Random(random.random()), 300)
        histories: list[Any] = [shop.client] if landing is None else [shop.client, landing.drain()]
        for history in histories:
            assert list(differing(shop, spine, answers, history)) == []
