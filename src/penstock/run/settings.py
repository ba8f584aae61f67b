"""What `penstock up` was asked for, as one value that the supervisor makes and each process is started with."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from penstock.errors import UsageError

HOST = "127.0.0.1"
# In the environment: a command line can be read by every user.
TOKEN_VARIABLE = "PENSTOCK_WORKER_TOKEN"
PASSWORD_VARIABLE = "PENSTOCK_PASSWORD"
PASSWORD_LENGTH_MIN = 8
_LOCAL = (HOST, "localhost", "::1")

PortSetting = Literal["api_port", "app_port", "lake_port"]


@dataclass(frozen=True)
class Settings:
    """Port 0 is any free one; once a process has taken it, the supervisor fills it in for the others."""

    app_file: Path
    data: Path
    api_port: int = 8000
    app_port: int = 8080
    lake_port: int = 8181
    store: str | None = None  # Another endpoint in place of the engine: http://… or aws:REGION.
    lake: str | None = None  # Where the lake lies; None: beside the data.
    handlers_port: int = 0  # Between the app and the worker.
    host: str = HOST  # Where the application listens besides loopback; see console/door.py.

    @property
    def api_url(self) -> str:
        return self.store or f"http://{HOST}:{self.api_port}"

    @property
    def app_url(self) -> str:
        return f"http://{HOST}:{self.app_port}"

    @property
    def outside_url(self) -> str | None:
        """Where other machines find the application, if they do."""
        if self.host in _LOCAL:
            return None
        named = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{named}:{self.app_port}"

    @property
    def lake_url(self) -> str:
        return f"http://{HOST}:{self.lake_port}"

    @property
    def handlers_url(self) -> str:
        return f"http://{HOST}:{self.handlers_port}"

    @property
    def boards_folder(self) -> Path:
        """Boards belong to the application, and are kept with its source."""
        return self.app_file.parent / "boards"

    @property
    def lake_location(self) -> str:
        return self.lake or f"file:{self.data / 'lake'}"

    @property
    def models_folder(self) -> Path:
        return self.data / "models"


def refuse_open_host(host: str, password: str | None) -> None:
    """Any address but loopback's own is taken for open: what leads to it is not known here."""
    if host in _LOCAL:
        return
    if not password:
        raise UsageError(
            f"{host} may be reached from other machines: set {PASSWORD_VARIABLE} to the password that they "
            "have to give, or leave --host out"
        )
    if len(password) < PASSWORD_LENGTH_MIN:
        raise UsageError(
            f"{PASSWORD_VARIABLE} is too short to keep anybody out: take {PASSWORD_LENGTH_MIN} characters or more"
        )


def with_port(settings: Settings, which: PortSetting, port: int) -> Settings:
    match which:
        case "api_port":
            return replace(settings, api_port=port)
        case "app_port":
            return replace(settings, app_port=port)
        case "lake_port":
            return replace(settings, lake_port=port)


def with_free_ports(settings: Settings) -> Settings:
    """Ports that one process listens on and another must know before: chosen now, of those that are free."""
    lake_port = settings.lake_port or _free_port()
    return replace(settings, lake_port=lake_port, handlers_port=settings.handlers_port or _free_port())


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def to_text(settings: Settings) -> str:
    return msgspec.json.encode(settings, enc_hook=str).decode()


def from_text(text: str) -> Settings:
    return msgspec.json.decode(text, type=Settings, dec_hook=_decode)


def _decode(type_: type, value: object) -> object:
    assert type_ is Path, type_
    return Path(str(value))
