"""A query put to the process that writes the lake, over HTTP: a command that asks this way needs no engine of its own.

A1. `lake.url` may be left over, and another lake's process may listen there now. So a question names its folder, and an
    answer that does not name it too is nobody's: the caller opens the lake itself.
A2. Ctrl-C cancels the query there before it ends the wait here.
"""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import orjson
import pyarrow as pa
import pyarrow.ipc

from penstock.errors import PenstockError
from penstock.lake.address import ADDRESS
from penstock.sql.results import Result
from penstock.sql.watching import looking

FOLDER_HEADER = "X-Penstock-Lake"
_MARGIN_S = 30.0  # The process ends a query by itself; this long after it the process is taken for dead.
_LOOK_S = 0.3


class Refused(PenstockError):
    """The process' own words about a query."""


def told_folder(folder: Path) -> str:
    return quote(str(folder.resolve()))


def ask_process(
    folder: Path, sql: str, rows_max: int, seconds_max: float, watch: Callable[[float], None] | None = None
) -> Result | None:
    """The answer, or None where no process answers for this folder (A1)."""
    try:
        address = urlsplit((folder / ADDRESS).read_text().strip())
    except OSError:
        return None
    host, port = address.hostname or "127.0.0.1", address.port or 80
    id_ = uuid.uuid4().hex
    body = orjson.dumps(
        {"sql": sql, "format": "arrow", "rows_max": rows_max, "seconds_max": seconds_max, "id": id_}
    )
    headers = {"Content-Type": "application/json", FOLDER_HEADER: told_folder(folder)}
    connection = http.client.HTTPConnection(host, port, timeout=seconds_max + _MARGIN_S)
    try:
        with _watched(host, port, id_, watch):
            connection.request("POST", "/sql", body, headers)
            answer = connection.getresponse()
            told = answer.read()
    except TimeoutError as error:
        raise Refused(
            f"the process that writes the lake did not answer within {seconds_max + _MARGIN_S:.0f} s; see penstock status"
        ) from error
    except (ConnectionError, http.client.HTTPException):
        return None
    except KeyboardInterrupt:
        _call(host, port, "DELETE", id_)
        raise
    finally:
        connection.close()
    if answer.getheader(FOLDER_HEADER) != headers[FOLDER_HEADER]:
        return None
    if answer.status != 200:
        raise Refused(orjson.loads(told)["error"])
    with pa.ipc.open_stream(told) as reader:
        table = reader.read_all()
    seconds = float(answer.getheader("X-Penstock-Seconds", "0"))
    return Result(table, seconds, answer.getheader("X-Penstock-Truncated") == "true")


def _watched(
    host: str, port: int, id_: str, watch: Callable[[float], None] | None
) -> AbstractContextManager[None]:
    if watch is None:
        return nullcontext()

    def look() -> None:
        told = _call(host, port, "GET", id_)
        if told:
            watch(orjson.loads(told)["progress"])

    return looking(look, _LOOK_S)


def _call(host: str, port: int, method: str, id_: str) -> bytes:
    """What is said of a running query; nothing where it has ended meanwhile."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    with suppress(OSError, http.client.HTTPException):
        connection.request(method, f"/sql/{id_}")
        answer = connection.getresponse()
        told = answer.read()
        return told if answer.status == 200 else b""
    return b""
