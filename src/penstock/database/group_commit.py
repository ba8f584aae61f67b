"""Group commit: many batches, one sync, and nobody is answered, or sees another's write, before it is durable.

    open      the group that batches join as they are applied
    syncing   the group that a sync is under way for; there is at most one
    doubtful  the groups whose sync failed, as one: the disk may have them, whole or in part, or not

G1. A batch belongs to the group that was open when it was applied; the group's callers are told after its sync.
G2. A read of a key that an unsynced batch touched waits for that batch's group, so nothing is seen that a power cut
    could take back. What a key is, is a prefix of 8 bytes (one partition) or of 4 (one space). A read in a table that
    an unsynced batch made or changed waits for it too: a table made anew has none of the items that it had before.
G3. Groups finish in order: who waits for a group may rely on everything before it.
G4. After a failed sync its callers are told that it failed, and a read of what is doubtful is refused: nobody can tell
    what a power cut would leave of it. A later sync that succeeds covers it too (S6 in store/interface.py), and ends
    the doubt. Where the store must be opened again (`lost`) it lasts until then.
G5. A batch whose caller does not wait for its sync (appends.py) begins none by itself: its group is synced when
    somebody waits for it, and else within LATE_S. So a stream of such batches costs twenty syncs a second, not one each.

`begin` and `finish` are called where the database is called (one thread, or under its lock); the sync between them is
called from anywhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue

from penstock.errors import PenstockError, StoreLost
from penstock.store.interface import Store

LATE_S = 0.05  # What a power cut may take of batches that nobody waits for.
Waiter = Callable[[PenstockError | None], None]


class Group:
    """Batches that one sync covers."""

    __slots__ = ("defined", "is_urgent", "prefixes", "sequence", "waiters")

    def __init__(self) -> None:
        self.prefixes: set[bytes] = set()
        # Spaces, as prefixes of 4 bytes, of tables made or changed; and b"" where any definition changed.
        self.defined: set[bytes] = set()
        self.waiters: list[Waiter] = []
        self.sequence = 0
        self.is_urgent = False  # Its sync was asked for, or began.


class GroupCommit:
    """The two groups and who waits for them. `kick` is called when the open group begins to need a sync, `kick_late` when
    it begins to need one within LATE_S: then `hurry` is to be called in time, by whoever has a clock."""

    def __init__(
        self,
        store: Store,
        kick: Callable[[], None],
        synced_sequence: int,
        kick_late: Callable[[], None] | None = None,
    ) -> None:
        self.store = store
        self._kick = kick
        self._kick_late = kick_late or self.hurry
        self.open = Group()
        self.syncing: Group | None = None
        self.doubtful: Group | None = None
        self.lost: StoreLost | None = None
        self.synced_sequence = synced_sequence
        self.on_certain: Callable[[], None] = lambda: None  # The doubt has ended.

    def applied(
        self, keys: Iterable[bytes], sequence: int, defined: Iterable[bytes] = (), *, patient: bool = False
    ) -> None:
        """A batch that touched `keys`, and made or changed the tables of the spaces `defined`, was applied."""
        group = self.open
        prefixes = group.prefixes
        is_first = not prefixes
        for key in keys:
            prefixes.add(key[:8])
            prefixes.add(key[:4])
        prefixes.add(b"")
        if defined:
            group.defined.update(defined)
        group.sequence = max(group.sequence, sequence)
        if not patient:
            self.hurry()
        elif is_first and not group.is_urgent:
            self._kick_late()

    def hurry(self) -> None:
        """The open group is to be synced now, if there is anything in it."""
        group = self.open
        if group.prefixes and not group.is_urgent:
            group.is_urgent = True
            self._kick()

    def wait(self, group: Group, waiter: Waiter) -> None:
        """Have `waiter` told when the group is synced."""
        group.waiters.append(waiter)
        if group is self.open:
            self.hurry()

    def group_of(self, reads: Iterable[bytes]) -> Group | None:
        """The last group that touched any of these prefixes and is not synced yet."""
        for group in (self.open, self.syncing):
            if group is not None and group.prefixes and _touches(group, reads):
                return group
        return None

    def is_doubtful(self, reads: Iterable[bytes]) -> bool:
        """Of the reads of everything only those are doubtful, by G4, that a table's definition could change."""
        return self.doubtful is not None and _touches(self.doubtful, reads)

    def last_group(self) -> Group | None:
        return self.open if self.open.prefixes else self.syncing

    def begin(self) -> Group | None:
        """The group to sync now, or None: nothing to do, or a sync is under way."""
        if self.syncing is not None or not self.open.prefixes:
            return None
        group, self.open = self.open, Group()
        group.is_urgent = True
        self.syncing = group
        return group

    def finish(self, group: Group, error: PenstockError | None) -> None:
        assert group is self.syncing
        self.syncing = None
        was_doubtful = self.doubtful
        if error is not None:
            self._doubt(group, error)
        else:
            self.doubtful = None
            sequences = [self.synced_sequence, group.sequence, was_doubtful.sequence if was_doubtful else 0]
            self.synced_sequence = max(sequences)
        for waiter in group.waiters:
            waiter(error)
        if error is None and was_doubtful is not None:
            self.on_certain()
        if self.open.is_urgent:
            self._kick()
        elif self.open.prefixes:
            self._kick_late()

    def _doubt(self, group: Group, error: PenstockError) -> None:
        self.refused(error)
        doubtful = self.doubtful = self.doubtful or Group()
        doubtful.prefixes |= group.prefixes - {b""}
        doubtful.defined |= group.defined
        doubtful.sequence = max(doubtful.sequence, group.sequence)

    def refused(self, error: PenstockError) -> None:
        """The store refused a write or a sync."""
        if isinstance(error, StoreLost):
            self.lost = error

    def sync(self) -> PenstockError | None:
        try:
            self.store.sync()
        except PenstockError as error:
            # Whatever kept the batches from the disk, their callers are told, and the thread lives on.
            return error
        return None


def _touches(group: Group, reads: Iterable[bytes]) -> bool:
    prefixes, defined = group.prefixes, group.defined
    for key in reads:  # noqa: SIM110 (a generator costs as much as the look)
        if key[:8] in prefixes or (defined and key[:4] in defined):
            return True
    return False


class SyncThread:
    """Runs the syncs of a database that lives on an event loop: `post` brings a call back to the loop's thread. `seal` is
    called there when a group has begun, right before its sync: what it has is to be written by then."""

    def __init__(self, post: Callable[[Callable[[], None]], None], seal: Callable[[], None]) -> None:
        self._post, self._seal = post, seal
        # A SimpleQueue wakes its reader from C; a Semaphore is a Condition in Python, which the loop's thread would pay.
        self._groups: SimpleQueue[Group | None] = SimpleQueue()
        self._commit: GroupCommit | None = None
        self._thread = threading.Thread(target=self._run, name="penstock-sync", daemon=True)

    def start(self, commit: GroupCommit) -> None:
        self._commit = commit
        self._thread.start()

    def kick(self) -> None:
        """On the loop's thread. One loop iteration later, so that all requests already read join the group."""
        self._post(self._begin)

    def _begin(self) -> None:
        assert self._commit is not None
        group = self._commit.begin()
        if group is not None:
            self._seal()  # In one call with its beginning: the end of the sync before may be posted between any two.
            self._groups.put(group)

    def _run(self) -> None:
        assert self._commit is not None
        commit = self._commit
        while (group := self._groups.get()) is not None:
            error = commit.sync()
            self._post(lambda group=group, error=error: commit.finish(group, error))  # type: ignore[misc]

    def stop(self) -> None:
        self._groups.put(None)
        if self._thread.is_alive():
            self._thread.join()
