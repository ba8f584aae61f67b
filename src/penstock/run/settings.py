"""What `penstock up` was asked for, as one value that the supervisor makes and each process is started with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

HOST = "127.0.0.1"

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

    @property
    def api_url(self) -> str:
        return self.store or f"http://{HOST}:{self.api_port}"

    @property
    def app_url(self) -> str:
        return f"http://{HOST}:{self.app_port}"

    @property
    def lake_url(self) -> str:
        return f"http://{HOST}:{self.lake_port}"

    @property
    def lake_location(self) -> str:
        return self.lake or f"file:{self.data / 'lake'}"

    @property
    def models_folder(self) -> Path:
        return self.data / "models"


def with_port(settings: Settings, which: PortSetting, port: int) -> Settings:
    match which:
        case "api_port":
            return replace(settings, api_port=port)
        case "app_port":
            return replace(settings, app_port=port)
        case "lake_port":
            return replace(settings, lake_port=port)


def to_text(settings: Settings) -> str:
    return msgspec.json.encode(settings, enc_hook=str).decode()


def from_text(text: str) -> Settings:
    return msgspec.json.decode(text, type=Settings, dec_hook=_decode)


def _decode(type_: type, value: object) -> object:
    assert type_ is Path, type_
    return Path(str(value))
