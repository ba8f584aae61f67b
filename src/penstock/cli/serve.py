"""`penstock serve`: own a data directory and answer DynamoDB's API over HTTP until stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import orjson
import typer
import uvloop

from penstock.connect.ownership import Claim, claim_directory
from penstock.database.open import open_database
from penstock.database.weather import Weather, with_settings
from penstock.errors import UsageError
from penstock.server.listen import refuse_open_address
from penstock.server.open_files import raise_file_limit
from penstock.server.serve import serve
from penstock.wire.signing import AccessKey, read_access_keys

Announce: TypeAlias = Callable[[Path, str, int, bool, Weather | None], None]


def run(
    data: Annotated[Path, typer.Option(help="The data directory; made if it is not there.")] = Path("data"),
    port: Annotated[int, typer.Option(help="0 takes any free port.", min=0, max=65535)] = 8000,
    host: Annotated[str, typer.Option(help="Other than loopback needs --access-keys.")] = "127.0.0.1",
    access_keys: Annotated[
        Path | None, typer.Option(help="A file of lines `KEY_ID SECRET`: only requests signed so are served.")
    ] = None,
    durability: Annotated[
        str, typer.Option(help="power: an answer waits for its sync. process: synced within 50 ms.")
    ] = "power",
    like_aws: Annotated[
        bool, typer.Option("--like-aws", help="AWS on a bad day: lag, throttling, parts, conflicts, splits.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Of --like-aws: the same requests meet the same trouble again.")
    ] = None,
    weather: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND=VALUE", help="Of --like-aws: one kind of trouble, such as throttling=0."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Say as JSON where it listens, in one line, once it does.")
    ] = False,
) -> None:
    """Serve a data directory to any DynamoDB client over HTTP.

    Example: `penstock serve --data /srv/shop --port 8000`
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if durability not in ("power", "process"):
        raise UsageError("--durability is power or process")
    day = _weather(like_aws, seed, weather or [])
    keys = _read_keys(access_keys)
    if not keys:
        refuse_open_address(host)  # Before the directory is opened, so that a mistake costs nothing.
    raise_file_limit()
    claim = claim_directory(data)
    try:
        announce = _announce_as_json if json else _announce
        uvloop.run(_serve(claim, host, port, keys, durability, day, announce))
    finally:
        claim.release()


def _weather(like_aws: bool, seed: int | None, settings: list[str]) -> Weather | None:
    if like_aws:
        return with_settings(Weather(seed=seed or 0), settings)
    if seed is not None or settings:
        raise UsageError("--seed and --weather are settings of --like-aws")
    return None


async def _serve(
    claim: Claim,
    host: str,
    port: int,
    keys: Mapping[str, AccessKey] | None,
    durability: str,
    weather: Weather | None,
    announce: Announce,
) -> None:
    loop = asyncio.get_running_loop()

    def post(call: Callable[[], None]) -> None:
        loop.call_soon_threadsafe(call)

    database = open_database(
        claim.folder, post=post, durability=durability, weather=weather, later=loop.call_later
    )
    try:
        await serve(
            database,
            host,
            port,
            ready=lambda where, number, _: announce(claim.folder, where, number, bool(keys), weather),
            access_keys=keys,
            unix=claim.bind(),
        )
    finally:
        database.close()


def _announce(folder: Path, host: str, port: int, signed: bool, weather: Weather | None) -> None:
    url = _url(host, port)
    credentials = "your access keys" if signed else "any credentials"
    day = f" · like AWS on a bad day, seed {weather.seed}" if weather is not None else ""
    print(
        f'{folder} at {url} · boto3.client("dynamodb", endpoint_url="{url}") with {credentials}{day}',
        flush=True,
    )


def _announce_as_json(folder: Path, host: str, port: int, signed: bool, weather: Weather | None) -> None:
    seed = None if weather is None else weather.seed
    said = {"data": str(folder), "url": _url(host, port), "signed": signed, "like_aws_seed": seed}
    print(orjson.dumps(said).decode(), flush=True)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _read_keys(path: Path | None) -> Mapping[str, AccessKey] | None:
    if path is None:
        return None
    try:
        return read_access_keys(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--access-keys {path}: {error}") from error
