"""What `penstock up` leaves in the data directory for other commands: that it runs, as what, and where it listens.

up.lock    held (flock) by the supervisor for as long as it lives, with its process id as text. The kernel lets go of
           it however the supervisor ends, so a stale lock does not exist
up.json    a picture of the processes and tasks, replaced whole after each change
log/       the lines of each process, in full
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

import msgspec

from penstock.errors import UsageError

LOCK = "up.lock"
PICTURE = "up.json"
_POLL_S = 0.05


class ProcessState(msgspec.Struct):
    name: str
    state: str  # starting, ready, waiting, stopping, stopped, failed
    pid: int = 0
    restarts: int = 0
    since_s: float = 0.0
    addresses: dict[str, str] = {}
    detail: str = ""


class TaskState(msgspec.Struct):
    name: str
    done: int
    total: int
    unit: str


class Picture(msgspec.Struct):
    app: str
    app_file: str
    data: str
    pid: int
    started_s: float
    processes: list[ProcessState]
    tasks: list[TaskState] = []
    facts: dict[str, str] = {}


def write_picture(data: Path, picture: Picture) -> None:
    """Replaced by renaming, so that a reader never sees half of it."""
    fresh = data / f"{PICTURE}.new"
    fresh.write_bytes(msgspec.json.encode(picture))
    fresh.replace(data / PICTURE)


def read_picture(data: Path) -> Picture | None:
    try:
        return msgspec.json.decode((data / PICTURE).read_bytes(), type=Picture)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise UsageError(f"{data / PICTURE} is not what `penstock up` writes: {error}") from error


class UpLock:
    """At most one `penstock up` per data directory."""

    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise UsageError(
                f"{data} is up already, in process {running_pid(data)}: `penstock status`, `penstock down`"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        os.close(self._descriptor)


def running_pid(data: Path) -> int | None:
    """The supervisor of this data directory, or None where none runs."""
    try:
        descriptor = os.open(data / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
    return None


def stop_running(data: Path, within_s: float) -> bool:
    """Ask the supervisor to stop and wait for it. False: nothing was running."""
    pid = running_pid(data)
    if pid is None:
        return False
    if pid:
        os.kill(pid, signal.SIGTERM)
    deadline_s = time.monotonic() + within_s
    while running_pid(data) is not None:
        if time.monotonic() > deadline_s:
            raise UsageError(
                f"process {pid} is still stopping after {within_s:.0f} s; look at {data / 'log'}"
            )
        time.sleep(_POLL_S)
    return True
