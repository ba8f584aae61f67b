"""A failure names the number that replays it, and that number alone can be run."""

from __future__ import annotations

import pytest

from penstock.testing import replayable, seeds


# R2 and R3: the same seeds in every run, another range or a single one from outside.
def test_seeds_are_fixed_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PENSTOCK_SEED", "PENSTOCK_SEEDS", "PENSTOCK_SEED_FIRST"):
        monkeypatch.delenv(name, raising=False)
    assert seeds(3) == [0, 1, 2]
    monkeypatch.setenv("PENSTOCK_SEED_FIRST", "50")
    monkeypatch.setenv("PENSTOCK_SEEDS", "2")
    assert seeds(3) == [50, 51]
    monkeypatch.setenv("PENSTOCK_SEED", "7")
    assert seeds(3) == [7]


# R1 and R2.
def test_an_error_carries_the_seed_and_the_seed_repeats_the_choices() -> None:
    choices = []

    def fail() -> None:
        with replayable(42) as random:
            choices.append(random.random())
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as caught:
            fail()
        assert caught.value.__notes__ == ["replay with PENSTOCK_SEED=42"]
    assert choices[0] == choices[1]
