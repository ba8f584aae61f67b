"""Bare PutItem with group commit: a batch per request, one WAL sync per group, answers after it."""

import asyncio
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import httptools
import orjson
import uvloop
from rocksdict import Options, Rdict, WriteBatch

port, folder, indexed = int(sys.argv[1]), sys.argv[2], len(sys.argv) > 3
shutil.rmtree(folder, ignore_errors=True)
db = Rdict(folder, Options(raw_mode=True))
syncer = ThreadPoolExecutor(1)


class Group:
    """Connections whose writes are applied and not yet synced."""

    waiting: ClassVar[list["Connection"]] = []
    syncing = False
    sequence = 0

    @classmethod
    def join(cls, connection):
        cls.waiting.append(connection)
        if not cls.syncing:
            cls.syncing = True
            asyncio.get_running_loop().call_soon(cls.sync)

    @classmethod
    def sync(cls):
        members, cls.waiting = cls.waiting, []
        done = asyncio.get_running_loop().run_in_executor(syncer, db.flush_wal, True)
        done.add_done_callback(lambda _: cls.answer(members))

    @classmethod
    def answer(cls, members):
        for connection in members:
            connection.answer()
        cls.syncing = False
        if cls.waiting:
            cls.syncing = True
            cls.sync()


def put(item):
    partition, sort, at = (
        item["customer_id"]["S"].encode(),
        item["sk"]["S"].encode(),
        item["at"]["S"].encode(),
    )
    stored, batch = orjson.dumps(item), WriteBatch(raw_mode=True)
    key = b"b" + partition + b"\0" + sort
    if indexed:
        db.get(key)
        Group.sequence += 1
        batch.put(b"l" + partition + b"\0" + at + b"\0" + sort, stored)
        batch.put(b"g" + item["category"]["S"].encode() + b"\0" + partition + b"\0" + sort, b"")
        batch.put(
            b"s%021d" % Group.sequence, b'{"eventName":"INSERT","dynamodb":{"NewImage":' + stored + b"}}"
        )
    batch.put(key, stored)
    db.write(batch)


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.body = transport, b""
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_body(self, data):
        self.body += data

    def on_message_complete(self):
        item, self.body = orjson.loads(self.body)["Item"], b""
        put(item)
        Group.join(self)

    def answer(self):
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nx-amzn-RequestId: A\r\n"
                b"x-amz-crc32: 2745614147\r\nContent-Length: 2\r\n\r\n{}"
            )


async def main():
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


uvloop.run(main())
