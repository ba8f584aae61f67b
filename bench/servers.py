"""The servers under measurement: ours, the bare ones and the peers, each started in its own folder and stopped after."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE / "peers" / "node_modules"


@dataclass
class Running:
    name: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise LookupError("VmRSS")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def commands(port: int, folder: str) -> dict[str, list[str]]:
    """Every server that can be started here, by name."""
    python = sys.executable
    found = {
        "penstock": [str(Path(python).with_name("penstock")), "serve", "--data", folder, "--port", str(port)],
        "limit get": [python, str(HERE / "limit" / "get_server.py"), str(port), folder],
        "limit put": [python, str(HERE / "limit" / "put_server.py"), str(port), folder],
        "limit put indexed": [python, str(HERE / "limit" / "put_server.py"), str(port), folder, "indexed"],
    }
    dynalite = PEERS / "dynalite" / "cli.js"
    if dynalite.exists():
        found["dynalite"] = ["node", str(dynalite), "--port", str(port)]
    dynoxide = next(iter(PEERS.glob("@dynoxide/linux-x64/**/dynoxide")), None)
    if dynoxide is not None:
        found["dynoxide"] = [str(dynoxide), "--port", str(port)]
    moto = os.environ.get("MOTO_SERVER") or shutil.which("moto_server")
    if moto:
        found["moto"] = [moto, "-H", "127.0.0.1", "-p", str(port)]
    return found


@contextmanager
def running(name: str, folder: str | None = None) -> Iterator[Running]:
    """The server, once it takes connections. A folder given is kept; otherwise it goes with the server."""
    port = free_port()
    data = folder or tempfile.mkdtemp(prefix="penstock-bench-")
    process = subprocess.Popen(
        commands(port, data)[name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(process, port)
        yield Running(name, port, process.pid)
    finally:
        process.terminate()
        process.wait(30)
        if folder is None:
            shutil.rmtree(data, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the server takes no connections")
