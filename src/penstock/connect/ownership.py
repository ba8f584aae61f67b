"""Who owns a data directory: at most one process, decided by a file lock, found by others through a socket.

O1. The owner holds `flock` on `owner.lock`. The kernel releases it when the owner dies, however it dies, so
    a stale lock does not exist and two starters cannot both win.
O2. Only the holder of the lock makes, replaces and removes `owner.sock`. A socket left by a dead owner
    refuses connections; who is refused tries for the lock again, and so takes over or finds the next owner.
O3. A socket's path may have about 100 bytes. A longer one is reached through a link to its folder, made for
    the moment of binding or connecting in the machine's temporary folder: the kernel measures only what it
    is given.
O4. A forked child gives up at once what it has of the lock, the listening socket and the connections of guests.
    Otherwise it would hold them after its parent's death: nobody could take the directory over, and guests
    would wait for answers that nobody writes.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.errors import PenstockError, UsageError
from penstock.store.directory import in_forked_child

LOCK = "owner.lock"
SOCKET = "owner.sock"
_SOCKET_PATH_BYTES_MAX = 100  # sun_path has 108 bytes on Linux, 104 on macOS, with its end.


class OwnerGone(PenstockError):
    """Nobody listens in the directory (any more)."""


class Claim:
    """A held lock. `release` ends the ownership; so does the end of the process."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock
        self._bound: socket.socket | None = None
        self._address = ""
        in_forked_child(self._forget_in_child)

    @classmethod
    def try_for(cls, folder: Path) -> Claim | None:
        """The claim, or None if somebody else has it. Makes the directory if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError:
            os.close(lock)
            raise
        os.ftruncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
        return cls(folder, lock)

    def bind(self) -> socket.socket:
        """A socket at the directory's address that only this user may open. It does not listen yet."""
        (self.folder / SOCKET).unlink(missing_ok=True)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short_path(self.folder) as path:
                bound.bind(path)
            (self.folder / SOCKET).chmod(0o600)
        except OSError:
            bound.close()
            raise
        self._bound, self._address = bound, bound.getsockname()
        return bound

    def release(self) -> None:
        if self._lock >= 0:
            (self.folder / SOCKET).unlink(missing_ok=True)
            if self._bound is not None:
                self._bound.close()
            os.close(self._lock)
            self._lock = -1

    def _forget_in_child(self) -> None:
        """O4. Closing is enough and unlocking would be wrong: the lock is the parent's."""
        if self._lock >= 0:
            try:
                if self._bound is not None:
                    _close_all_at(self._address)
            finally:  # Where no descriptors can be listed, guests may wait; the directory must be free all the same.
                os.close(self._lock)
                self._lock = -1


def claim_directory(folder: Path) -> Claim:
    """The claim of a process that serves the directory, or an error that says who has it."""
    claim = Claim.try_for(folder)
    if claim is None:
        raise UsageError(
            f"{folder} is owned by process {owner_pid(folder)}; penstock.connect('file:{folder}') speaks to it"
        )
    return claim


def open_socket(folder: Path, timeout_s: float) -> socket.socket:
    """A connection to the owner, or OwnerGone."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened.settimeout(timeout_s)
    try:
        with _short_path(folder) as path:
            opened.connect(path)
    except (ConnectionRefusedError, FileNotFoundError) as error:
        opened.close()
        raise OwnerGone(f"nobody listens in {folder}") from error
    except OSError:
        opened.close()
        raise
    return opened


def owner_pid(folder: Path) -> str:
    """For messages only: the lock decides, not what is written in it."""
    try:
        return (folder / LOCK).read_text().strip() or "unknown"
    except OSError:
        return "unknown"


def _close_all_at(address: str) -> None:
    """The socket that listens there, and every connection that it took. Their numbers stay taken, by nothing: objects of the
    parent's loop, which the child has too, would some day close whatever else has them."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in map(int, os.listdir("/dev/fd")):
        try:
            opened = socket.socket(fileno=descriptor)
        except OSError:
            continue  # No socket, or the listing's own descriptor.
        if opened.family == socket.AF_UNIX and opened.getsockname() == address:
            os.dup2(nothing, descriptor, inheritable=False)
        opened.detach()
    os.close(nothing)


@contextmanager
def _short_path(folder: Path) -> Iterator[str]:
    path = str(folder / SOCKET)
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES_MAX:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="penstock-") as temporary:
        link = Path(temporary) / "d"
        link.symlink_to(folder.resolve(), target_is_directory=True)
        yield str(link / SOCKET)
