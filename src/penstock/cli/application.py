"""What the commands about predictions share: finding the application, its store, its models and its lake."""

from __future__ import annotations

import importlib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from penstock.app.application import App
from penstock.connect.client import Client
from penstock.connect.urls import connect
from penstock.errors import UsageError
from penstock.models.artifacts import ArtifactFolder
from penstock.models.registry import Registry
from penstock.run.app_files import APP_FILE, find_app_file, load_app
from penstock.run.state import read_picture, running_pid

USUAL = "http://127.0.0.1:8000"
OWNER = "OWNER"  # What every data directory of ours has.
_CONNECT_S = 1.0

AppFile = Annotated[
    Path | None,
    typer.Option(
        "--app",
        help="The application's file or folder; app.py here, or what `up` runs on --data, where it is not said.",
    ),
]
Data = Annotated[Path, typer.Option(help="The application's data directory.")]
Store = Annotated[
    str | None, typer.Option(help="Where the tables are, if not in --data: http://… or aws:REGION.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


@dataclass
class Opened:
    """An application with its store open. Close the client when done."""

    app: App
    client: Client
    registry: Registry
    data: Path
    is_remote: bool = False

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def lake(self) -> Any | None:
        """The lake beside the data, where there is one."""
        folder = self.data / "lake"
        if not folder.is_dir():
            return None
        # DuckDB and pyarrow take a while to load, and most questions need neither.
        return importlib.import_module("penstock.sql.lake").open_lake(f"file:{folder}")


def open_registry(data: Path, store: str | None) -> tuple[Client, Registry]:
    # A question about nothing must not leave an empty database behind, which the next question would be asked of.
    if store is None and not (data / OWNER).exists():
        raise UsageError(
            f"there are no tables in {data}/; `penstock up` makes them, and --data or --store says where else"
        )
    client = connect(store or f"file:{data}")
    return client, Registry(client, ArtifactFolder(data / "models"))


Endpoint = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="file:./data, http://127.0.0.1:8000 or aws:REGION; what `up` runs on --data, or --data itself, where it is not said.",
    ),
]


def endpoint(url: str | None, data: Path) -> str:
    """The tables that a command means: those named; of the application that runs on the data directory; what serves at the
    usual port; or the data directory itself, where nothing runs."""
    if url is not None:
        return url
    picture = read_picture(data) if running_pid(data) is not None else None
    places = [each.addresses.get("api") for each in picture.processes] if picture is not None else []
    running = next((each for each in places if each), None)
    if running is not None:
        return running
    if (data / OWNER).exists():
        return f"file:{data}"
    if not _answers(USUAL):
        raise UsageError(
            f"nothing runs on {data}/, nor at {USUAL}: `penstock up` starts an application, --data and --url say where else"
        )
    return USUAL


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port or 80), _CONNECT_S):
            return True
    except OSError:
        return False


def data_folder(url: str, data: Path) -> Path:
    """The data directory that a command means which takes a URL: the URL's own, or where `up` keeps its data."""
    return Path(url.removeprefix("file:")) if url.startswith("file:") else data


def find_application(given: Path | None, data: Path, here: Path) -> Path:
    """Where no file is named and none is here, the application that `up` ran on the data directory."""
    if given is None and not (here / APP_FILE).is_file():
        picture = read_picture(data)
        if picture is not None and Path(picture.app_file).is_file():
            return Path(picture.app_file)
    return find_app_file(given, here)


def open_application(app_file: Path | None, data: Path, store: str | None) -> Opened:
    app = load_app(find_application(app_file, data, Path.cwd()))
    client, registry = open_registry(data, store)
    app.bind(client)
    return Opened(app, client, registry, data, is_remote=store is not None)
