"""Files on this machine's disk that are durable before a catalogue points at them.

D1. Every file that is written through here is remembered until `make_durable`, which syncs it, its folder and each
    parent folder that is new since the last time. Iceberg's own libraries sync nothing, so that a power cut may leave a
    catalogue that points at an empty file.
D2. Syncing what another thread has just written does no harm, so that one instance serves all writers of a process.
D3. What the disk does not take is `StorageRefused`, and only before a pointer moves: nothing of the commit took place.
    What cannot be read back is `Corruption`, which names the file and what can be done.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.typedef import EMPTY_DICT, Properties

from penstock.errors import Corruption, PenstockError, StoreUnavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class StorageRefused(StoreUnavailable):
    """A file of a commit could not be written. The commit did not take place."""


@contextmanager
def writing(what: str) -> Iterator[None]:
    """D3, for writing."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in _FULL else f"the disk refuses: {error}"
        raise StorageRefused(f"{what}: {reason}") from error


@contextmanager
def reading(what: str, location: str, remedy: str) -> Iterator[None]:
    """D3, for reading. What a decoder raises over damaged bytes is not of any one kind."""
    path = local_path(location)
    try:
        yield
    except (PenstockError, MemoryError):
        raise
    except Exception as error:
        on_this_machine = location.startswith(("file:", "/"))
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError) and not on_this_machine:
            raise  # The way to the storage may be at fault, and not what lies there.
        reason = (
            "it is missing" if isinstance(error, FileNotFoundError) else str(error) or type(error).__name__
        )
        raise Corruption(f"{what}: {path} cannot be read: {reason}. {remedy}") from error


def remedy_for(namespace: str, name: str) -> str:
    """What a person can do about a damaged table."""
    if namespace in ("current", "quarantine"):
        return f"`penstock lake rebuild {name}` makes it again from raw.{name}"
    if namespace == "raw":
        return (
            f"Put the file back from a copy, or let `penstock lake rebuild {name}` take what can be read; "
            f"`penstock lake rebuild {name} --anew` begins with a new scan"
        )
    return f"Put the file back from a copy, or drop {namespace}.{name} and make it again"


class Unsynced:
    """Files that were begun and are not known to be on the disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._settled_folders: set[str] = set()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="lake-sync")

    def add(self, path: str) -> None:
        with self._lock:
            self._paths.add(path)

    def make_durable(self, also: Iterable[str] = ()) -> None:
        with self._lock:
            taken, self._paths = self._paths, set()
        try:
            present = [path for path in {*taken, *also} if os.path.exists(path)]
            # Side by side: a sync waits for the disk and not for us.
            deque(self._pool.map(_sync_file, present), maxlen=0)
            deque(self._pool.map(_sync_folder, self._folders_of(present)), maxlen=0)
        except OSError:
            with self._lock:
                self._paths |= taken
            raise

    def _folders_of(self, paths: list[str]) -> list[str]:
        """The folders whose entries changed: those of the files, and the parents of folders that we never synced."""
        folders = {os.path.dirname(path) for path in paths}
        for folder in list(folders):
            above = folder
            while above not in self._settled_folders:
                self._settled_folders.add(above)
                parent = os.path.dirname(above)
                if parent == above:
                    break
                folders.add(parent)
                above = parent
        return sorted(folders, key=len, reverse=True)


def _sync_file(path: str) -> None:
    _sync(path, os.O_RDONLY)


def _sync_folder(path: str) -> None:
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LocalFileIO(PyArrowFileIO):
    """pyiceberg's reader and writer of files, which tells `Unsynced` what it writes."""

    def __init__(self, properties: Properties = EMPTY_DICT, unsynced: Unsynced | None = None) -> None:
        super().__init__(properties)
        self._unsynced = unsynced or Unsynced()

    def new_output(self, location: str) -> PyArrowFile:
        self._unsynced.add(local_path(location))
        return super().new_output(location)


def local_path(location: str) -> str:
    """`file:///a/b`, `file:/a/b` or `/a/b` as a path."""
    if location.startswith("file:"):
        rest = location[5:]
        return "/" + rest.lstrip("/")
    return str(Path(location))
