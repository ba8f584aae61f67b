"""The HTTP client against a server that does as the test says: retries, stale connections, damage, time-outs."""

from __future__ import annotations

import socket
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import TracebackType

import pytest
from tests.edge import GET_ITEM, EdgeInThread, get

from penstock.connect.http import Address, HttpTransport, NoAnswer, address_of
from penstock.connect.retries import Retries
from penstock.errors import UsageError
from penstock.wire.signing import AccessKey, HttpRequest, Verifier

THROTTLED = b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}'


def reply(body: bytes = b"{}", status: int = 200, *, more: bytes = b"", crc: int | None = None) -> bytes:
    checksum = zlib.crc32(body) if crc is None else crc
    head = b"HTTP/1.1 %d X\r\nx-amz-crc32: %d\r\n%bContent-Length: %d\r\n\r\n"
    return head % (status, checksum, more, len(body)) + body


class ScriptedServer:
    """Gives one answer of the script to each request. None closes the connection; an empty answer is silence."""

    def __init__(self, script: list[bytes | None]) -> None:
        self._script = list(script)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = address_of(f"http://127.0.0.1:{self._listener.getsockname()[1]}")
        self.connections = 0
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _run(self) -> None:
        while self._script:
            try:
                opened, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with opened:
                self._serve(opened)

    def _serve(self, opened: socket.socket) -> None:
        while self._script:
            request = opened.recv(65536)
            if not request:
                return
            self.requests.append(request)
            answer = self._script.pop(0)
            if answer is None:
                return
            opened.sendall(answer)
        opened.recv(1)  # Keep the last connection open until the client closes it.


def transport(address: Address, rests: list[float] | None = None, **options: float) -> HttpTransport:
    """A transport whose pauses are noted and not taken."""
    retries = Retries(sleep=(rests if rests is not None else []).append, jitter=lambda: 1.0)
    return HttpTransport(address, retries=retries, **options)  # type: ignore[arg-type]


# Why: a connection per request costs more than the request.
def test_one_connection_serves_many_requests() -> None:
    with ScriptedServer([reply(b"1"), reply(b"2"), reply(b"3")]) as server:
        client = transport(server.address)
        assert [client.send(GET_ITEM, b"{}", 0)[1] for _ in range(3)] == [b"1", b"2", b"3"]
        client.close()
    assert server.connections == 1


# Why: what a moment later may succeed is sent again, with growing pauses, as botocore does for DynamoDB.
@pytest.mark.parametrize(
    "failure",
    [
        reply(THROTTLED, 400),
        reply(b"{}", 500),
        reply(b"x", 503),
        None,
        reply(b"{}", crc=1),
        b"nonsense\r\n\r\n",
    ],
)
def test_what_may_pass_is_tried_again(failure: bytes | None) -> None:
    rests: list[float] = []
    with ScriptedServer([failure, failure, reply(b"good")]) as server:
        client = transport(server.address, rests)
        assert client.send(GET_ITEM, b"{}", 0) == (200, b"good")
        client.close()
    assert rests == [0.05, 0.1]


# Why: an error of the caller's own is not a passing one.
@pytest.mark.parametrize("body", [b'{"__type":"x#ValidationException"}', b"not json"])
def test_a_lasting_error_is_answered_at_once(body: bytes) -> None:
    with ScriptedServer([reply(body, 400)]) as server:
        client = transport(server.address)
        assert client.send(GET_ITEM, b"{}", 0) == (400, body)
        client.close()
    assert len(server.requests) == 1


# Why: retries end: the last answer is the answer, and no answer at all is an error of ours.
def test_retries_end_after_ten_attempts() -> None:
    rests: list[float] = []
    with ScriptedServer([reply(THROTTLED, 400)] * 10) as server:
        client = transport(server.address, rests)
        assert client.send(GET_ITEM, b"{}", 0) == (400, THROTTLED)
        client.close()
    assert len(rests) == 9
    with ScriptedServer([None] * 10) as server, pytest.raises(NoAnswer, match="ended before"):
        transport(server.address).send(GET_ITEM, b"{}", 0)


# Why: servers close idle connections; the next request must not pay for that with a pause.
def test_a_connection_that_the_server_closed_is_replaced_without_a_pause() -> None:
    rests: list[float] = []
    with EdgeInThread() as edge:
        client = transport(address_of(edge.url), rests)
        assert client.send(GET_ITEM, get("1"), 0) == (200, b"{}")
        edge.pass_seconds(400)
        edge.until(lambda: edge.server.connections == 0)
        assert client.send(GET_ITEM, get("1"), 0) == (200, b"{}")
        client.close()
    assert rests == []


# Why: other engines and proxies answer in chunks, or close after each answer.
def test_chunked_and_closing_answers_are_understood() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
    with ScriptedServer([chunked, reply(b"e", more=b"Connection: close\r\n"), reply(b"f")]) as server:
        client = transport(server.address)
        assert client.send(GET_ITEM, b"{}", 0)[1] == b"abcd"
        assert client.send(GET_ITEM, b"{}", 0)[1] == b"e"
        client.close()


# Why: a server that takes a request and never answers must not hold a thread for ever.
def test_silence_times_out() -> None:
    with ScriptedServer([b""] * 10) as server:
        client = transport(server.address, read_timeout_s=0.02)
        with pytest.raises(NoAnswer):
            client.send(GET_ITEM, b"{}", 0)


# Why: nobody there is an error in words, not a bare OSError.
def test_nobody_listening_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NoAnswer, match=f"127.0.0.1:{port}"):
        transport(address_of(f"http://127.0.0.1:{port}")).send(GET_ITEM, b"{}", 0)


# Why: many threads share one client, and each must get its own answers.
def test_threads_share_a_client() -> None:
    with EdgeInThread() as edge:
        for i in range(50):
            edge.endpoint.items[b'{"S":"%d"}' % i] = {"n": {"N": str(i)}}
        client = transport(address_of(edge.url))

        def ask(i: int) -> bool:
            return client.send(GET_ITEM, get(str(i % 50)), 0)[1] == b'{"Item":{"n":{"N":"%d"}}}' % (i % 50)

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(ask, range(400)))
        assert edge.server.counters.connections_opened <= 8
        client.close()


# Why: with keys every request is signed so that the server's check takes it, on any path.
def test_requests_are_signed_where_keys_are_given() -> None:
    key = AccessKey("AKID", "secret", "token")
    with EdgeInThread(access_keys={"AKID": key}) as edge:
        signed = HttpTransport(address_of(edge.url + "/a/b"), access_key=key)
        assert signed.send(GET_ITEM, get("1"), 0) == (200, b"{}")
        signed.close()
        wrong = HttpTransport(address_of(edge.url), access_key=AccessKey("AKID", "wrong", "token"))
        status, answer = wrong.send(GET_ITEM, get("1"), 0)
        wrong.close()
    assert status == 400
    assert b"InvalidSignatureException" in answer


# Why: the time to wait goes to the server, and our own patience grows by it.
def test_a_wish_to_wait_is_sent_along() -> None:
    with EdgeInThread() as edge:
        client = transport(address_of(edge.url))
        client.send("DynamoDBStreams_20120810.GetRecords", b"{}", 250)
        client.close()
    assert edge.endpoint.starts[0][2] == 250


# Why: a closed client says so, and leaves no connection behind.
def test_a_closed_client_refuses() -> None:
    with EdgeInThread() as edge:
        client = transport(address_of(edge.url))
        client.send(GET_ITEM, get("1"), 0)
        client.close()
        edge.until(lambda: edge.server.connections == 0)
        with pytest.raises(UsageError, match="closed"):
            client.send(GET_ITEM, get("1"), 0)


# Why: a wrong URL is the caller's mistake, told before anything is sent.
@pytest.mark.parametrize(
    "url", ["http://", "http://a:b", "http://user@host", "http://a?b=c", "http://a:99999"]
)
def test_a_wrong_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError):
        address_of(url)


# Why: the signature covers the host as it is sent.
def test_the_host_header_is_the_urls() -> None:
    with ScriptedServer([reply()]) as server:
        client = HttpTransport(server.address, access_key=AccessKey("A", "b"))
        client.send(GET_ITEM, b"{}", 0)
        client.close()
    lines = server.requests[0].split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    sent = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
    assert sent[b"host"] == server.address.host.encode()
    assert sent[b"content-length"] == b"2"
    signed_at = datetime.strptime(sent[b"x-amz-date"].decode(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    request = HttpRequest(b"POST", b"/", sent, b"{}")
    assert Verifier({"A": AccessKey("A", "b")}).check(request, signed_at.timestamp()) == "A"
