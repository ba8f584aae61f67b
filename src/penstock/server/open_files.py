"""How many files this process may have open: sockets and table files need more than many systems start a process with."""

from __future__ import annotations

import resource

_OPEN_FILES = 65_536  # Many systems start a process with 1,024.


def raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
