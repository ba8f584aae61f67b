"""The HTTP edge as a client of bare bytes sees it: what is normal, what is rare, and what is hostile."""

from __future__ import annotations

import re
import socket
import struct
import zlib
from collections.abc import Iterator

import orjson
import pytest
from tests.edge import GET_ITEM, PUT_ITEM, DictEndpoint, EdgeInThread, get, put, request

from penstock.errors import UsageError
from penstock.server.bounds import Bounds
from penstock.server.listen import refuse_open_address


@pytest.fixture
def edge() -> Iterator[EdgeInThread]:
    with EdgeInThread() as running:
        yield running


# -- what is normal --


# Why: SDKs check the CRC, log the request id and choose their parser by the content type.
def test_an_answer_has_the_headers_that_sdks_read(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        client.send(request(put("1", n={"N": "5"}), PUT_ITEM))
        assert client.answer().body == b"{}"
        answer = client.send(request(get("1"))).answer()
    assert answer.status == 200
    assert orjson.loads(answer.body) == {"Item": {"id": {"S": "1"}, "n": {"N": "5"}}}
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)
    assert re.fullmatch("[0-9A-V]{52}", answer.headers["x-amzn-requestid"])
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.headers["date"])
    assert answer.headers["server"] == "Server"


# Why: an id names one request in a log.
def test_no_two_answers_have_the_same_request_id(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        ids = {client.send(request()).answer().headers["x-amzn-requestid"] for _ in range(50)}
    assert len(ids) == 50


# Why: the endpoint's errors keep their status and body.
def test_an_error_of_the_endpoint_is_answered_with_its_status(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        answer = client.send(request(b'{"TableName":"missing"}')).answer()
    assert answer.status == 400
    assert orjson.loads(answer.body)["__type"].endswith("#ResourceNotFoundException")
    assert edge.server.counters.client_errors == 1


# Why: C1 and C3. Many requests in one segment, answered in their order.
def test_pipelined_requests_are_answered_in_order(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        client.send(b"".join(request(put(str(i), n={"N": str(i)}), PUT_ITEM) for i in range(500)))
        assert [client.answer().body for _ in range(500)] == [b"{}"] * 500
        client.send(b"".join(request(get(str(i))) for i in range(500)))
        numbers = [orjson.loads(client.answer().body)["Item"]["n"]["N"] for _ in range(500)]
    assert numbers == [str(i) for i in range(500)]


# Why: a request that is like the one before it may come together with others or in any pieces all the same.
def test_the_same_request_may_come_alone_together_and_in_pieces(edge: EdgeInThread) -> None:
    puts = {name: request(put(name, n={"N": name}), PUT_ITEM) for name in ("1", "2", "30", "4")}
    gets = {name: request(get(name)) for name in puts}
    with edge.connect() as client:
        for sent in puts.values():
            assert client.send(sent).answer().body == b"{}"
            assert client.send(sent).answer().body == b"{}"

        def number_of(name: str) -> str:
            number: str = orjson.loads(client.answer().body)["Item"]["n"]["N"]
            assert number == name
            return number

        for name in puts:
            client.send(gets[name])
            number_of(name)
        client.send(gets["1"] + gets["2"] + gets["30"])  # Together,
        assert [number_of(name) for name in ("1", "2", "30")]
        four = gets["4"]
        for piece in (four[:7], four[7:90], four[90:] + gets["2"][:3], gets["2"][3:]):  # in pieces,
            client.send(piece)
        assert [number_of(name) for name in ("4", "2")]
        client.send(gets["4"][:-5])  # and with its body late.
        client.send(gets["4"][-5:] + gets["1"])
        assert [number_of(name) for name in ("4", "1")]


# Why: what looks like a request inside another one is a part of that: taking it for a request would be smuggling.
def test_a_request_inside_a_request_is_no_request_of_its_own(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        client.send(request(put("1", n={"N": "1"}), PUT_ITEM)).answer()
        for _ in range(2):
            client.send(request(get("1"))).answer()
        client.send(b"PO")
        assert client.send(request(get("1"))).answer().status == 400
        assert client.ends()
    with edge.connect() as client:  # In a body it is the body.
        known = request(get("1"))
        outer = request(known)
        client.send(outer[: -len(known)])
        assert b"SerializationException" in client.send(known).answer().body


# Why: C1. Group commit answers late and reads answer at once; the client must not see that.
def test_answers_keep_the_order_of_requests_when_the_endpoint_does_not() -> None:
    endpoint = DictEndpoint()
    for i in range(6):
        endpoint.items[orjson.dumps({"S": str(i)})] = {"n": {"N": str(i)}}
    endpoint.holding = True
    with EdgeInThread(endpoint) as edge, edge.connect() as client:
        client.send(b"".join(request(get(str(i))) for i in range(6)))
        edge.until(lambda: len(endpoint.held) == 6)
        for place in (3, 1, 5, 0, 4, 2):
            edge.run(endpoint.held[place])
        numbers = [orjson.loads(client.answer().body)["Item"]["n"]["N"] for _ in range(6)]
    assert numbers == ["0", "1", "2", "3", "4", "5"]


# Why: segments end anywhere; a parser that keeps state by segment would lose bytes.
def test_a_request_may_come_byte_by_byte(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        whole = request(put("1"), PUT_ITEM)
        client.send(*(whole[i : i + 1] for i in range(len(whole))))
        assert client.answer().status == 200
    assert edge.endpoint.starts == [(PUT_ITEM, put("1"), 0)]


# Why: Java's and Go's clients may send a body in chunks, and trailers after it. Trailers decide nothing.
def test_a_chunked_body_is_joined_and_its_trailers_are_ignored(edge: EdgeInThread) -> None:
    head = request(b"", PUT_ITEM).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    body = put("1")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:3], body[3:4], body[4:]))
    with edge.connect() as client:
        client.send(head + chunks + b"0\r\nX-Amz-Checksum: 1\r\n\r\n" + request(get("1")))
        assert client.answer().body == b"{}"
        assert client.answer().body == b'{"Item":{"id":{"S":"1"}}}'


# Why: curl and Java wait for permission before a long body.
def test_expect_continue_is_answered_before_the_body(edge: EdgeInThread) -> None:
    whole = request(put("1"), PUT_ITEM, more="Expect: 100-continue\r\n")
    head, body = whole[: -len(put("1"))], put("1")
    with edge.connect() as client:
        client.send(head)
        assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert client.send(body).answer().status == 200


# Why: C1 holds for the 100 too; it belongs to the second request, so it comes after the first's answer.
def test_expect_continue_waits_for_the_answers_before_it() -> None:
    endpoint = DictEndpoint()
    endpoint.holding = True
    with EdgeInThread(endpoint) as edge, edge.connect() as client:
        client.send(request(), request(b"{}", more="Expect: 100-continue\r\n")[:-2])
        edge.until(lambda: len(endpoint.held) == 1)
        edge.run(endpoint.held[0])
        assert client.answer().status == 200
        assert client.answer(to_head=True).status == 100


# Why: HTTP/1.0 clients and health checks read to the end of the connection.
@pytest.mark.parametrize(
    ("version", "more"), [("1.0", ""), ("1.1", "Connection: close\r\n"), ("1.0", "Connection: close\r\n")]
)
def test_a_closing_request_is_answered_and_closed(edge: EdgeInThread, version: str, more: str) -> None:
    with edge.connect() as client:
        answer = client.send(request(version=version, more=more)).answer()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert client.ends()


# Why: ab and old proxies keep a 1.0 connection only if the answer says so.
def test_http_1_0_is_kept_alive_where_the_client_asks_for_it(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        for _ in range(2):
            answer = client.send(request(version="1.0", more="Connection: keep-alive\r\n")).answer()
            assert answer.headers["connection"] == "keep-alive"


# Why: a client may close its sending side and read on, as `nc -N` does.
def test_a_client_that_has_finished_sending_gets_its_answers() -> None:
    endpoint = DictEndpoint()
    endpoint.holding = True
    with EdgeInThread(endpoint) as edge, edge.connect() as client:
        client.send(request(), request())
        client.socket.shutdown(socket.SHUT_WR)
        edge.until(lambda: len(endpoint.held) == 2)
        for give in list(endpoint.held):
            edge.run(give)
        assert [client.answer().status, client.answer().status] == [200, 200]
        assert client.ends()


# Why: an offer of h2c is an offer. The body behind it must not be lost, which the parser alone would do.
def test_an_offered_upgrade_is_ignored_and_the_request_answered(edge: EdgeInThread) -> None:
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    with edge.connect() as client:
        client.send(request(put("1"), PUT_ITEM, more=offer) + request(get("1")))
        assert client.answer().body == b"{}"
        assert client.answer().body == b'{"Item":{"id":{"S":"1"}}}'


# Why: a consumer holds GetRecords open with this header; nonsense in it is no wish to wait.
@pytest.mark.parametrize(("text", "wait_ms"), [("250", 250), ("999999", 30_000), ("soon", 0), ("-1", 0)])
def test_the_wish_to_wait_reaches_the_endpoint(edge: EdgeInThread, text: str, wait_ms: int) -> None:
    with edge.connect() as client:
        client.send(request(more=f"x-penstock-wait-ms: {text}\r\n")).answer()
    assert edge.endpoint.starts[0][2] == wait_ms


# -- what DynamoDB answers to what is no call --


# Why: load balancers probe with GET; the text and its CRC (3128867991) are DynamoDB's in us-east-1.
def test_get_answers_that_the_region_is_healthy(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        answer = client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").answer()
    assert answer.body == b"healthy: dynamodb.us-east-1.amazonaws.com "
    assert answer.headers["x-amz-crc32"] == "3128867991"


# Why: HEAD is GET without the body, and the connection must still be in step afterwards.
def test_head_answers_without_a_body(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.answer(to_head=True)
        assert (answer.status, answer.headers["content-length"]) == (200, "42")
        assert client.send(request()).answer().status == 200


# Why: AWS answers other methods and media types outside its JSON protocol.
@pytest.mark.parametrize(
    "sent",
    [
        b"PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"DELETE /x HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        request().replace(b"application/x-amz-json-1.0", b"text/plain"),
    ],
)
def test_what_is_no_json_call_is_an_unknown_operation_in_xml(edge: EdgeInThread, sent: bytes) -> None:
    with edge.connect() as client:
        answer = client.send(sent).answer()
    assert (answer.status, answer.body) == (404, b"<UnknownOperationException/>\n")


# Why: a missing or mangled target is AWS's UnknownOperationException, without a message.
@pytest.mark.parametrize("target", ["", "GetItem", "DynamoDB_20111205.GetItem", "DynamoDB_20120810.Get;Item"])
def test_an_unknown_target_is_an_unknown_operation(edge: EdgeInThread, target: str) -> None:
    with edge.connect() as client:
        answer = client.send(request(target=target)).answer()
    unknown = b'{"__type":"com.amazon.coral.service#UnknownOperationException"}'
    assert (answer.status, answer.body) == (400, unknown)
    assert edge.endpoint.starts == []


# Why: the answer's type follows the request's, and a charset is no other type.
@pytest.mark.parametrize(
    ("given", "answered"),
    [
        ("application/x-amz-json-1.1", "application/x-amz-json-1.1"),
        ("application/json; charset=utf-8", "application/json"),
        ("application/x-amz-json-1.0;charset=UTF-8", "application/x-amz-json-1.0"),
    ],
)
def test_every_json_media_type_is_taken_and_echoed(edge: EdgeInThread, given: str, answered: str) -> None:
    with edge.connect() as client:
        answer = client.send(request().replace(b"application/x-amz-json-1.0", given.encode())).answer()
    assert (answer.status, answer.headers["content-type"]) == (200, answered)


# Why: D4. A page on this machine may call; a page from elsewhere, or one that renamed its host to us, may not.
def test_browsers_may_call_from_local_pages_only(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        local = client.send(request(more="Origin: http://localhost:3000\r\n")).answer()
        assert local.headers["access-control-allow-origin"] == "*"
        asked = "Origin: http://127.0.0.1\r\nAccess-Control-Request-Headers: x-amz-target\r\n"
        preflight = client.send(request(b"", method="OPTIONS", more=asked)).answer()
        assert preflight.headers["access-control-allow-headers"] == "x-amz-target"
        assert preflight.headers["access-control-max-age"] == "172800"
        for origin in ("https://evil.example", "http://localhost.evil.example", "null"):
            foreign = client.send(request(more=f"Origin: {origin}\r\n")).answer()
            assert foreign.status == 403
            assert "access-control-allow-origin" not in foreign.headers
    assert len(edge.endpoint.starts) == 1


# -- what is hostile --


# Why: what is not HTTP gets one answer and the end, never a stack trace and never silence.
@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # A TLS greeting.
        b"nonsense\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\n bad: header\r\n\r\n",
        b"POST / HTTP/1.1\r\na\x00b: c\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        request(more="Expect: 200-maybe\r\n"),
    ],
)
def test_what_is_not_http_is_refused_and_closed(edge: EdgeInThread, sent: bytes) -> None:
    with edge.connect() as client:
        assert client.send(sent).answer().status in (400, 417)
        assert client.ends()
    assert edge.endpoint.starts == []
    assert edge.server.counters.malformed == 1


# Why: C1 and C5. What was asked properly before the nonsense is answered before the refusal.
def test_the_answers_before_a_malformed_request_still_come() -> None:
    endpoint = DictEndpoint()
    endpoint.holding = True
    with EdgeInThread(endpoint) as edge, edge.connect() as client:
        client.send(request(get("1")) + b"nonsense\r\n\r\n")
        edge.until(lambda: len(endpoint.held) == 1)
        edge.run(endpoint.held[0])
        assert [client.answer().status, client.answer().status] == [200, 400]
        assert client.ends()


# Why: [Q] a request is at most 16 MB; a longer one is refused before it is read, and before permission to send.
def test_a_declared_body_over_the_limit_is_refused_unread(edge: EdgeInThread) -> None:
    head = request(more="Expect: 100-continue\r\n").replace(b"Content-Length: 2", b"Content-Length: 16777217")
    with edge.connect() as client:
        answer = client.send(head).answer()
        assert (answer.status, answer.body) == (413, b"<RequestEntityTooLargeException/>\n")
        assert client.ends()


# Why: C5. A client that sends on without listening must find the answer, not a reset connection.
def test_a_chunked_body_over_the_limit_is_refused_while_the_client_sends() -> None:
    with EdgeInThread(bounds=Bounds(body_bytes_max=100_000)) as edge, edge.connect() as client:
        head = request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        chunk = b"%x\r\n%b\r\n" % (50_000, b"x" * 50_000)
        client.send(head, *[chunk] * 40)
        assert client.answer().status == 413
        assert client.ends()


# Why: exactly the limit is a good request.
def test_a_body_of_exactly_the_limit_is_taken() -> None:
    with EdgeInThread(bounds=Bounds(body_bytes_max=100_000)) as edge, edge.connect() as client:
        body = b'{"a":"' + b"x" * (100_000 - 8) + b'"}'
        assert client.send(request(body)).answer().status == 200


# Why: a body in single bytes makes a piece each; joined by copying, 16 MB of them would take hours.
def test_a_body_of_tiny_chunks_is_joined_in_linear_time(edge: EdgeInThread) -> None:
    head = request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    body = b'{"a":"' + b"x" * 200_000 + b'"}'
    with edge.connect() as client:
        client.send(head + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
        assert client.answer().status == 200
    assert edge.endpoint.starts[0][1] == body


# Why: C4. Headers without end, as many small ones, one name again and again, or one long one.
@pytest.mark.parametrize(
    "flood",
    [
        b"".join(b"x-%d: y\r\n" % i for i in range(200)),
        b"x: y\r\n" * 200,
        b"x: " + b"y" * 1_000_000,
        b"x" * 1_000_000,
    ],
)
def test_endless_headers_are_refused(edge: EdgeInThread, flood: bytes) -> None:
    with edge.connect() as client:
        client.send(b"POST / HTTP/1.1\r\n" + flood)
        assert client.answer().status in (400, 431)
        assert client.ends()


# Why: C4. Trailers are headers that come after the body, so they may not be without end either.
def test_endless_trailers_are_refused(edge: EdgeInThread) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    with edge.connect() as client:
        client.send(head)
        client.send(b"".join(b"x-%d: y\r\n" % i for i in range(200)))
        assert client.answer().status == 431
        assert client.ends()


# Why: the same for the first line.
def test_an_endless_url_is_refused(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        client.send(b"GET /" + b"a" * 1_000_000)
        assert client.answer().status == 431
        assert client.ends()


# Why: a slow client costs a connection, which are bounded. The request before it in the same segment is the sign
# that the server has seen the part.
@pytest.mark.parametrize(
    ("part", "seconds"),
    [(b"POST / HTTP/1.1\r\nHost: ", 11), (request(b"x" * 50)[:-20], 41)],
)
def test_a_request_that_does_not_come_to_its_end_times_out(
    edge: EdgeInThread, part: bytes, seconds: int
) -> None:
    with edge.connect() as client:
        assert client.send(request() + part).answer().status == 200
        edge.pass_seconds(seconds - 2)
        assert edge.server.connections == 1
        edge.pass_seconds(3)
        assert client.answer().status == 408
        assert client.ends()
    assert edge.server.counters.timed_out == 1


# Why: slowloris. A byte now and then must not count as progress.
def test_dribbled_headers_time_out_all_the_same(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        assert client.send(request() + b"POST / HTTP/1.1\r\n").answer().status == 200
        for i in range(13):
            client.send(b"x-%d: y\r\n" % i)
            edge.pass_seconds(1)
        assert client.answer().status == 408


# Why: idle connections are let go, but not while an answer is owed.
def test_an_idle_connection_is_closed_and_a_waiting_one_is_not() -> None:
    endpoint = DictEndpoint()
    with (
        EdgeInThread(endpoint, bounds=Bounds(idle_s=5)) as edge,
        edge.connect() as idle,
        edge.connect() as waits,
    ):
        idle.send(request()).answer()
        endpoint.holding = True
        waits.send(request())
        edge.until(lambda: len(endpoint.held) == 1)
        edge.pass_seconds(7)
        assert idle.ends()
        edge.run(endpoint.held[0])
        assert waits.answer().status == 200


# Why: C4. A client that asks and never reads holds at most a bounded number of answers, then loses the connection.
def test_a_client_that_does_not_read_stops_being_served() -> None:
    endpoint = DictEndpoint()
    endpoint.reply = b'{"a":"' + b"x" * 500_000 + b'"}'
    with EdgeInThread(endpoint) as edge, edge.connect() as client:
        client.send(request(get("1")) * 1000)
        edge.until(lambda: len(endpoint.starts) > 0)
        edge.pass_seconds(30)
        started = len(endpoint.starts)
        assert started < 100
        edge.pass_seconds(31)
        edge.until(lambda: edge.server.connections == 0)
        assert len(endpoint.starts) == started


# Why: the same client, reading late, gets every answer.
def test_a_client_that_reads_late_gets_every_answer() -> None:
    endpoint = DictEndpoint()
    endpoint.reply = b'{"a":"' + b"x" * 100_000 + b'"}'
    with EdgeInThread(endpoint) as edge, edge.connect() as client:
        client.send(request(get("1")) * 300)
        edge.until(lambda: len(endpoint.starts) > 0)
        assert [len(client.answer().body) for _ in range(300)] == [len(endpoint.reply)] * 300


# Why: C4. With slow answers, only a bounded number of one connection's requests are with the endpoint.
def test_a_pipeline_is_bounded_and_still_served_to_its_end() -> None:
    endpoint = DictEndpoint()
    endpoint.holding = True
    bounds = Bounds(pipelined_max=8)
    with EdgeInThread(endpoint, bounds=bounds) as edge, edge.connect() as client:
        client.send(request(get("1")) * 50)
        edge.until(lambda: len(endpoint.held) == 8)
        edge.pass_seconds(1)
        assert len(endpoint.starts) == 8
        for _ in range(50):
            edge.until(lambda: len(endpoint.held) > 0)
            edge.run(endpoint.held.pop(0))
            assert client.answer().status == 200
    assert len(endpoint.starts) == 50


# Why: a request that was cut off is not carried out.
def test_a_truncated_body_is_never_given_to_the_endpoint(edge: EdgeInThread) -> None:
    with edge.connect() as client:
        client.send(request(put("1"), PUT_ITEM)[:-5])
        client.socket.shutdown(socket.SHUT_WR)
        assert client.ends()
    assert edge.endpoint.starts == []


# Why: the endpoint answers late to whoever has gone; nothing may come of it, not even for the next client.
def test_an_answer_for_a_client_that_is_gone_is_dropped() -> None:
    endpoint = DictEndpoint()
    endpoint.holding = True
    with EdgeInThread(endpoint) as edge:
        with edge.connect() as client:
            client.send(request(put("1"), PUT_ITEM))
            edge.until(lambda: len(endpoint.held) == 1)
            # Closing with this option resets the connection, as a killed client's machine does.
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        edge.until(lambda: edge.server.connections == 0)
        edge.run(endpoint.held[0])
        endpoint.holding = False
        with edge.connect() as client:
            assert client.send(request(get("1"))).answer().status == 200


# Why: a second `done` is a fault of the endpoint; sent, it would be taken for the next request's answer.
def test_a_second_answer_to_one_request_is_ignored() -> None:
    endpoint = DictEndpoint()
    endpoint.holding = True
    with EdgeInThread(endpoint) as edge, edge.connect() as client:
        client.send(request(get("1")) + request(get("2")))
        edge.until(lambda: len(endpoint.held) == 2)
        edge.run(endpoint.held[1])
        edge.run(endpoint.held[1])
        edge.run(endpoint.held[0])
        assert [client.answer().status, client.answer().status] == [200, 200]
        endpoint.holding = False
        assert client.send(request(get("3"))).answer().body == b"{}"


# Why: C4. Connections are bounded, and those who are too many are told.
def test_too_many_connections_are_told_so() -> None:
    with EdgeInThread(bounds=Bounds(connections_max=2)) as edge:
        with edge.connect() as first, edge.connect() as second:
            assert first.send(request()).answer().status == 200
            assert second.send(request()).answer().status == 200
            with edge.connect() as third:
                assert third.answer().status == 503
                assert third.ends()
        edge.until(lambda: edge.server.connections == 0)
        with edge.connect() as later:
            assert later.send(request()).answer().status == 200
    assert edge.server.counters.connections_refused == 1


# Why: the contract says that start never raises. If it does, that client is told and all others are served.
def test_a_fault_in_the_endpoint_costs_one_connection() -> None:
    endpoint = DictEndpoint()
    with EdgeInThread(endpoint) as edge, edge.connect() as other:
        assert other.send(request()).answer().status == 200
        endpoint.fails = True
        with edge.connect() as unlucky:
            answer = unlucky.send(request()).answer()
            assert answer.status == 500
            assert orjson.loads(answer.body)["__type"].endswith("#InternalServerError")
            assert unlucky.ends()
        endpoint.fails = False
        assert other.send(request()).answer().status == 200


# -- starting and stopping --


# Why: L3. What was asked before the stop is answered; nobody new gets in; idle clients are let go.
def test_stop_answers_what_was_asked_and_closes_the_rest() -> None:
    endpoint = DictEndpoint()
    with EdgeInThread(endpoint) as edge, edge.connect() as idle, edge.connect() as busy:
        idle.send(request()).answer()
        endpoint.holding = True
        busy.send(request())
        edge.until(lambda: len(endpoint.held) == 1)
        edge.run(lambda: edge.server._loop.call_later(0.05, endpoint.held[0]))
        edge.stop(10.0)
        assert busy.answer().status == 200
        assert busy.ends()
        assert idle.ends()
        with pytest.raises(ConnectionRefusedError):
            edge.connect()


# Why: L1. An open port is an open database.
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "db.example"])
def test_an_open_address_is_refused_without_access_keys(host: str) -> None:
    with pytest.raises(UsageError, match="--access-keys"):
        refuse_open_address(host)


# Why: the loopback addresses are what everybody uses.
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_access_keys(host: str) -> None:
    refuse_open_address(host)


# Why: the targets that are remembered for the short way must not mix actions up.
def test_each_request_reaches_the_endpoint_with_its_own_target(edge: EdgeInThread) -> None:
    targets = [GET_ITEM, PUT_ITEM, "DynamoDBStreams_20120810.GetRecords", GET_ITEM, "DynamoDB_20120810.New"]
    with edge.connect() as client:
        for target in targets * 2:
            client.send(request(put("1"), target)).answer()
    assert [target for target, _, _ in edge.endpoint.starts] == targets * 2
