"""A disk that can be filled: a small tmpfs, which takes root. Where that is not possible, the test is skipped and says so."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk_at(folder: Path, megabytes: int) -> Iterator[Path]:
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if not mounted or mounted.returncode:
        pytest.skip("NOT TESTED HERE: a full disk takes a small file system, and mounting one takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
