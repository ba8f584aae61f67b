"""HTTP answers as bytes, each built with one formatting call from parts that are made once per second.

A reply is: status line and the headers that never change (made per second, because of Date), the request id,
the CRC that SDKs check, the length, whatever a rare request adds, and the body. A request id is 52 letters
and digits: 26 that differ and 26 that are the same in every id that DynamoDB gives out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from email.utils import formatdate
from http import HTTPStatus

JSON_10 = b"application/x-amz-json-1.0"
CLOSE = b"Connection: close\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUV"  # Base 32, the digits that AWS uses in its ids.
_ID_END = b"VV4KQNSO5AEMVJF66Q9ASUAAJG"


class ReplyHeads:
    """The first part of every answer: up to the request id. `refresh` once a second keeps Date right."""

    __slots__ = ("_date", "ok_json_10")

    def __init__(self, now_s: float) -> None:
        self.refresh(now_s)

    def refresh(self, now_s: float) -> None:
        self._date = formatdate(now_s, usegmt=True).encode()
        self.ok_json_10 = self.head(200, JSON_10)

    def head(self, status: int, content_type: bytes) -> bytes:
        return b"HTTP/1.1 %d %b\r\nServer: Server\r\nDate: %b\r\nContent-Type: %b\r\nx-amzn-RequestId: " % (
            status,
            _REASONS.get(status, b"Unknown"),
            self._date,
            content_type,
        )


def join_reply(head: bytes, request_id: bytes, body: bytes, more_headers: bytes) -> bytes:
    """`more_headers` is empty or whole lines, each with its line end."""
    return b"%b%b\r\nx-amz-crc32: %d\r\nContent-Length: %d\r\n%b\r\n%b" % (
        head,
        request_id,
        zlib.crc32(body),
        len(body),
        more_headers,
        body,
    )


def request_ids(seed: bytes) -> Iterator[bytes]:
    """Ids without end. They differ within a process by counting and between processes by the seed.

    The seed is a 24-digit number in base 32; the count is added to it, so that ids do not show how many
    there were.
    """
    inner = [bytes((high, low)) for high in _DIGITS for low in _DIGITS]
    outer = int.from_bytes(seed[:15], "big")
    while True:
        start = _base32(outer % 32**24, 24)
        for digits in inner:
            yield start + digits + _ID_END
        outer += 1


def _base32(number: int, width: int) -> bytes:
    return bytes(_DIGITS[(number >> (5 * place)) & 31] for place in reversed(range(width)))


_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
