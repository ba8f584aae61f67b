"""A URL chooses where a client's calls go: `file:` this machine's disk, `http:` a server, `aws:` a region."""

from __future__ import annotations

from pathlib import Path

from penstock.connect.client import Caller, Client
from penstock.connect.json_caller import JsonCaller
from penstock.errors import UsageError
from penstock.wire.signing import AccessKey

_FORMS = "file:./data, http://127.0.0.1:8000 or aws:us-east-1"


def connect(
    url: str,
    *,
    region: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    session_token: str = "",
    durability: str = "power",
) -> Client:
    """A client for DynamoDB's API, the same whatever stands behind it.

    `file:PATH`: the engine in this process, durable in that directory. If another process owns the
    directory, its engine is used. `durability="process"` survives a killed process at once and a power cut
    within 50 ms. `http://HOST:PORT`: a running `penstock serve`, or any compatible endpoint. Requests are
    signed if keys are given. `aws:REGION`: DynamoDB itself, through boto3 and its credentials unless keys
    are given.
    """
    scheme, _, rest = url.partition(":")
    keys = _access_key(access_key, secret_key, session_token)
    # The three are imported when chosen: the engine, sockets and boto3 take longer to load than `--help` may.
    if scheme == "file":
        from penstock.connect.embedded import FileTransport

        if keys is not None or region is not None:
            raise UsageError("a file: client needs no region and no keys")
        return Client(JsonCaller(FileTransport(_path_of(rest), durability)))
    if durability != "power":
        raise UsageError("durability belongs to the process that owns the data: give it to file: or to serve")
    if scheme in ("http", "https"):
        from penstock.connect.http import HttpTransport, address_of

        transport = HttpTransport(address_of(url), region=region or "us-east-1", access_key=keys)
        return Client(JsonCaller(transport))
    if scheme == "aws":
        return Client(_aws_caller(rest, region, keys))
    raise UsageError(f"{url!r} is not one of {_FORMS}")


def _aws_caller(rest: str, region: str | None, keys: AccessKey | None) -> Caller:
    try:
        from penstock.connect.aws import AwsCaller
    except ModuleNotFoundError as error:
        raise UsageError("aws: needs boto3: pip install 'penstock[aws]'") from error
    name = rest or region
    if not name or (region and rest and region != rest):
        raise UsageError("write the region once: aws:us-east-1")
    return AwsCaller(name, keys)


def _path_of(rest: str) -> Path:
    """`./data`, `/srv/data`, `~/data`, or the two slashes of file:///srv/data."""
    path = rest.removeprefix("//") if rest.startswith("///") else rest
    if not path or path.startswith("//"):
        raise UsageError(
            f"file:{rest} names no directory on this machine: write file:./data or file:/srv/data"
        )
    return Path(path).expanduser()


def _access_key(key_id: str | None, secret: str | None, token: str) -> AccessKey | None:
    if (key_id is None) != (secret is None):
        raise UsageError("access_key and secret_key belong together")
    return AccessKey(key_id, secret, token) if key_id is not None and secret is not None else None
