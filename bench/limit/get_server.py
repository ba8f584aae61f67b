"""Bare GetItem over HTTP: the rate that nothing which also checks its input can reach."""

import asyncio
import os
import shutil
import sys
import zlib

import httptools
import orjson
import uvloop
from rocksdict import Options, Rdict

port, folder = int(sys.argv[1]), sys.argv[2]
shutil.rmtree(folder, ignore_errors=True)
db = Rdict(folder, Options(raw_mode=True))
blob = os.urandom(400).hex()
for i in range(10_000):
    item = {
        "customer_id": {"S": f"c{i:05d}"},
        "amount": {"N": "12.5"},
        "category": {"S": "jewelry"},
        "blob": {"S": blob},
    }
    db[b"b" + b"c%05d" % i] = orjson.dumps(item)


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.body = transport, b""
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_body(self, data):
        self.body += data

    def on_message_complete(self):
        key = orjson.loads(self.body)["Key"]["customer_id"]["S"]
        self.body = b""
        answer = b'{"Item":' + db.get(b"b" + key.encode()) + b"}"
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nx-amzn-RequestId: A\r\n"
            b"x-amz-crc32: %d\r\nContent-Length: %d\r\n\r\n" % (zlib.crc32(answer), len(answer)) + answer
        )


async def main():
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


uvloop.run(main())
