"""When a process that died is started again."""

from __future__ import annotations

from penstock.run.restarts import PAUSE_S, PAUSE_S_MAX, RECOVERED_S, Restarts


# Why (R1): a process that dies at once must not spin, and one that dies for long must not be given up.
def test_each_death_in_a_row_doubles_the_pause_up_to_a_bound() -> None:
    restarts = Restarts()
    restarts.started(0.0)
    pauses = [restarts.pause_s(0.0) for _ in range(12)]
    assert pauses[:4] == [PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S, 8 * PAUSE_S]
    assert pauses[-1] == PAUSE_S_MAX
    assert restarts.total == 12


# Why (R2): a death in the tenth hour has nothing to do with the one of the first minute.
def test_a_minute_of_life_forgives_earlier_deaths() -> None:
    restarts = Restarts()
    restarts.started(0.0)
    assert [restarts.pause_s(1.0), restarts.pause_s(2.0)] == [PAUSE_S, 2 * PAUSE_S]
    restarts.started(3.0)
    assert restarts.pause_s(3.0 + RECOVERED_S) == PAUSE_S
    assert restarts.total == 3
