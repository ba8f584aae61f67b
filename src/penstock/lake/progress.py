"""How far a table has come: the position that is committed with its rows, as JSON in a table property.

    {"stream": ARN, "offset": rows in raw so far, "shards": {id: {"after": n} | {"since_us": t} | {"done": true}},
     "snapshot": {"label": sequence, "start_key": key or null, "scanned": bool, "done": bool, "began_us": t} | null,
     "gaps": [[from sequence, until sequence], …]}

P1. `after` is the last record of the shard that is in the table. `since_us` is a shard that has given none: it is read
    from that time. A record is in raw exactly once because rows and this commit together.
P2. `offset` counts rows of raw. Each raw row carries its own, so that whoever is behind raw goes on from raw itself.
P3. In a gap the history is not known. A snapshot ends it. The first gap of a table is the time before the lake knew it:
    nothing was missed there (`begins_us`); in later ones changes were trimmed before they were read (`missed`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.lake.rows import time_of

POSITION = "penstock.position"
WRITER = "penstock.writer"
DECLARED = "penstock.declared"  # The declared schema, on raw: current may have to be made again without the application.


class ShardPlace(msgspec.Struct, omit_defaults=True):
    after: str | None = None
    since_us: int | None = None
    done: bool = False


class SnapshotPlace(msgspec.Struct):
    """A scan under way, or the last one."""

    label: str  # Sequence number that stands before everything that the stream is followed from.
    start_key: dict[str, Any] | None = None
    scanned: bool = False  # Every chunk is in raw; what went meanwhile may not be taken out yet.
    done: bool = False
    began_us: int = 0
    rows: int = 0
    from_offset: int = 0  # Rows of raw when it began.
    known_from: str = ""  # The least number at which all rows of the last chunk are known.


class Position(msgspec.Struct):
    stream: str = ""
    offset: int = 0
    shards: dict[str, ShardPlace] = {}
    snapshot: SnapshotPlace | None = None
    gaps: list[tuple[str, str]] = []
    last_us: int = 0  # Time of the newest change that is covered.

    def encode(self) -> str:
        return msgspec.json.encode(self).decode()

    def copy(self) -> Position:
        return decode(self.encode())


def decode(text: str | None) -> Position:
    return msgspec.json.decode(text, type=Position) if text else Position()


def missed(position: Position) -> list[tuple[str, str]]:
    """The gaps in which changes were lost to the lake (P3)."""
    return [gap for gap in position.gaps if not _is_beginning(gap)]


def begins_us(position: Position) -> int:
    """From when on the history is known, or 0 as long as the first scan goes on."""
    for gap in position.gaps:
        if _is_beginning(gap) and gap[1]:
            return time_of(gap[1])
    return 0


def _is_beginning(gap: tuple[str, str]) -> bool:
    return not int(gap[0] or "0")


class Writer(msgspec.Struct):
    """Who writes a table. A higher epoch fences every lower one."""

    epoch: int = 0
    id: str = ""


def decode_writer(text: str | None) -> Writer:
    return msgspec.json.decode(text, type=Writer) if text else Writer()


def encode_writer(writer: Writer) -> str:
    return msgspec.json.encode(writer).decode()
