"""The bytes of an answer, and ids that never repeat."""

from __future__ import annotations

import itertools
import zlib

from penstock.wire.replies import ReplyHeads, join_reply, request_ids


# Why: one formatting call makes the whole answer, so every part of it is pinned once.
def test_an_answer_is_exactly_these_bytes() -> None:
    heads = ReplyHeads(1_795_168_800.0)
    assert join_reply(heads.ok_json_10, b"ID", b"{}", b"Connection: close\r\n") == (
        b"HTTP/1.1 200 OK\r\nServer: Server\r\nDate: Fri, 20 Nov 2026 10:00:00 GMT\r\n"
        b"Content-Type: application/x-amz-json-1.0\r\nx-amzn-RequestId: ID\r\n"
        b"x-amz-crc32: %d\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}" % zlib.crc32(b"{}")
    )
    assert heads.head(413, b"text/plain").startswith(b"HTTP/1.1 413 Request Entity Too Large\r\n")


# Why: the head is kept for a second; the Date in it must move.
def test_the_date_moves_when_the_heads_are_refreshed() -> None:
    heads = ReplyHeads(1_795_168_800.0)
    heads.refresh(1_795_168_801.0)
    assert b"10:00:01 GMT" in heads.ok_json_10


# Why: ids are counted in blocks; the step from one block to the next must not repeat.
def test_ids_do_not_repeat_across_blocks_or_processes() -> None:
    ids = list(itertools.islice(request_ids(b"\xff" * 15), 5000))
    assert len(set(ids)) == 5000
    assert {len(id_) for id_ in ids} == {52}
    assert not set(ids) & set(itertools.islice(request_ids(b"\x7f" * 15), 5000))
