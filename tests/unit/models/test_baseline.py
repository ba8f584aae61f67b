"""How far two spreads lie apart, and what so few rows can show by chance."""

from __future__ import annotations

import random

import pytest

from penstock.models import baseline


# Why: a monitor that cries over thirty ordinary rows is switched off. Of two samples of one kind, one in ten thousand may pass.
@pytest.mark.parametrize("rows", [30, 100, 1000])
def test_what_is_of_one_kind_stays_below_what_chance_does(rows: int) -> None:
    chance = random.Random(rows)
    trained = baseline.spread([chance.gammavariate(2, 10) for _ in range(2000)])
    for _ in range(200):
        seen = baseline.fold(trained, [chance.gammavariate(2, 10) for _ in range(rows)])
        assert baseline.psi(trained, seen) < baseline.psi_by_chance(trained, seen)
        assert baseline.ks(trained, seen) < baseline.ks_by_chance(trained, seen)


# Why: and what did move has to be seen, also with few rows.
@pytest.mark.parametrize("rows", [100, 1000])
def test_what_moved_is_above_chance_and_above_the_usual_bound(rows: int) -> None:
    chance = random.Random(rows)
    trained = baseline.spread([chance.gammavariate(2, 10) for _ in range(2000)])
    seen = baseline.fold(trained, [3 * chance.gammavariate(2, 10) for _ in range(rows)])
    assert baseline.psi(trained, seen) > max(0.25, baseline.psi_by_chance(trained, seen))
    assert baseline.ks(trained, seen) > max(0.3, baseline.ks_by_chance(trained, seen))


# Why: a value that training never had is one empty bin, which is no infinity.
def test_nulls_and_new_texts_count_as_bins_of_their_own() -> None:
    trained = baseline.spread(["red", "blue"] * 500)
    seen = baseline.fold(trained, ["mauve"] * 300 + ["red", "blue"] * 100 + [None] * 100)
    assert 0.25 < baseline.psi(trained, seen) < 20
    assert baseline.null_rate(seen) == pytest.approx(1 / 6)
    assert baseline.psi(trained, trained) == 0.0
