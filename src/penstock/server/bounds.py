"""How much a client may ask of the edge: every bound on sockets in one place, so that tests can shrink them.

The AWS limit on a body stands in limits.py; the rest are ours. None of them is near what an SDK does.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.limits import REQUEST_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Bounds:
    connections_max: int = 4096
    body_bytes_max: int = REQUEST_BYTES_MAX
    head_bytes_max: int = 64 * 1024  # A SigV4 head with a session token is about 2 KB.
    headers_max: int = 100
    pipelined_max: int = 64  # Requests of one connection that are with the endpoint at a time.
    answers_per_turn_max: int = 64  # Answered in one turn of the loop before other connections get theirs.
    gather_bytes_max: int = 64 * 1024  # A larger answer is written at once, so that back-pressure counts it.
    write_buffer_bytes: int = 256 * 1024  # Above this the connection is not read until the client has read.
    head_s: int = 10  # From the first byte of a request to the end of its headers.
    body_s: int = 30  # From there to the end of the body, plus a second for each `body_bytes_per_s`.
    body_bytes_per_s: int = 64 * 1024
    idle_s: int = 300  # A connection without a request. Longer than SDKs keep theirs, so they close first.
    stalled_s: int = 60  # A client that does not read its answers.
    linger_s: int = 2  # After a refusal: unread bytes are swallowed, or the answer would be lost to a reset.
