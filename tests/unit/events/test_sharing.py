"""Which shards may be read, and by whom."""

from __future__ import annotations

from penstock.events.leases import FORGET_S, LEASE_S, Lease, Roster, share_out
from penstock.events.lineage import ShardShape, StreamShape, listed, ready


def stream(label: str, *shards: ShardShape) -> StreamShape:
    return StreamShape(f"arn/{label}", label, "k", shards)


# Why: N1; a key's changes go from the parent to a child, so a child read early would break their order.
def test_a_child_waits_for_its_parent_and_not_for_one_that_is_gone() -> None:
    family = listed((stream("s", ShardShape("a"), ShardShape("b", "a"), ShardShape("c", "gone")),), ())
    assert ready(family, (), ()) == ["s/a", "s/c"]
    assert ready(family, {"s/a"}, {"s/a"}) == ["s/b", "s/c"]


# Why: N2; a stream that is switched off and on again is another stream of the same changes.
def test_a_newer_stream_waits_for_the_shards_of_an_older_one_that_were_begun() -> None:
    streams = (stream("2", ShardShape("b")), stream("1", ShardShape("a")))
    assert ready(listed(streams, {"1/a"}), (), {"1/a"}) == ["1/a"]
    assert ready(listed(streams, {"1/a"}), {"1/a"}, {"1/a"}) == ["2/b"]
    assert ready(listed(streams, ()), (), ()) == ["2/b"], (
        "an older stream that it never read is not its business"
    )


# Why: E3; shards are shared evenly, and nobody takes from the living.
def test_shards_are_shared_evenly() -> None:
    shards = ["1", "2", "3", "4"]
    held = {shard: Lease(shard, "a", 1) for shard in shards}
    assert share_out(shards, held, set(shards), {"a", "b"}, "a").give == ("3", "4")
    assert share_out(shards, held, set(), {"a", "b"}, "b").take == ()
    held |= {shard: Lease(shard, "", 1) for shard in ("3", "4")}
    assert set(share_out(shards, held, set(), {"a", "b"}, "b").take) == {"3", "4"}
    assert share_out(shards, held, {"1", "2"}, {"a", "b"}, "a").take == (), "it has its share"


# Why: what a dead worker held is taken; a lease that still names this worker is taken anew, under the next epoch.
def test_leases_of_the_dead_and_ones_own_old_leases_are_free() -> None:
    held = {"1": Lease("1", "dead", 4), "2": Lease("2", "me", 2)}
    assert set(share_out(["1", "2"], held, set(), {"me"}, "me").take) == {"1", "2"}


# Why: a follower that met trouble is gone while its lease still names the worker. Nobody takes from the living, so where
# that worker had its share already, the shard would never have been read again.
def test_a_lease_that_still_names_this_worker_is_taken_up_even_beyond_its_share() -> None:
    shards = ["1", "2"]
    held = {shard: Lease(shard, "a") for shard in shards}
    assert share_out(shards, held, {"1"}, {"a", "b"}, "b").take == (), "the living keep what is theirs"
    assert share_out(shards, held, {"1"}, {"a", "b"}, "a").take == ("2",)
    assert share_out(shards, held, {"1", "2"}, {"a", "b"}, "a").give == ("2",), "and then it is too much"


# Why: E2; machines' clocks differ, so a worker is judged by its beats as they are seen here.
def test_a_worker_lives_while_its_beat_changes() -> None:
    roster = Roster("me")
    roster.observe({"me": 1, "other": 7}, 0.0)
    assert roster.living(LEASE_S - 0.1) == {"me", "other"}
    roster.observe({"me": 2, "other": 7}, 2.0)
    assert roster.living(LEASE_S) == {"me"}
    roster.observe({"me": 2, "other": 8}, LEASE_S)
    assert roster.living(LEASE_S + 1) == {"me", "other"}
    assert roster.gone(LEASE_S + FORGET_S) == ("other",)
