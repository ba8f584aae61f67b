"""`penstock` commands in processes of their own: what runs a user's code, or computes for seconds, is kept from the event loop."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

_SAID_MAX = 2000
_GENTLY = "10"  # Predictions come first.


@dataclass(frozen=True)
class Ended:
    """`code` is None where it took too long and was stopped."""

    code: int | None
    output: bytes
    said: str


async def run_command(arguments: Sequence[str], within_s: float) -> Ended:
    return await run_in_threadpool(_run, arguments, within_s)


def _run(arguments: Sequence[str], within_s: float) -> Ended:
    nice = shutil.which("nice")
    command = [*([nice, "-n", _GENTLY] if nice else []), sys.executable, "-m", "penstock", *arguments]
    try:
        # From a thread and by subprocess: it starts with vfork, which does not copy this process' page tables first.
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=within_s)
    except subprocess.TimeoutExpired:
        return Ended(None, b"", "")
    said = ended.stderr.decode("utf-8", "replace").strip()
    return Ended(ended.returncode, ended.stdout, said.removeprefix("penstock: ")[-_SAID_MAX:])
