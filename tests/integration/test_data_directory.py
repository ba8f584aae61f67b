"""One owner per data directory, whatever starts, dies or forks; everybody else finds it through the socket inside."""

from __future__ import annotations

import gc
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
from tests.edge import PATIENCE_S

import penstock
from penstock.connect.client import Client
from penstock.connect.embedded import FileTransport
from penstock.connect.json_caller import JsonCaller
from penstock.connect.ownership import SOCKET, Claim, OwnerGone, open_socket
from penstock.errors import UsageError

# A process with a client of its own, told line by line on its standard input what to evaluate.
WORKER = """
import os, sys
exec(sys.argv[2])
import penstock
client = penstock.connect("file:" + sys.argv[1])
print("owner" if client._caller._transport.owns else "guest", flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Worker:
    """Such a process."""

    def __init__(self, folder: Path, first: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), first],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, expression: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()

    def ask(self, expression: str) -> str:
        self.tell(expression)
        return self.hear()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def end(self) -> int:
        """Let it run to its end, without a `close`."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)


@contextmanager
def workers(folder: Path, count: int, first: str = "") -> Iterator[list[Worker]]:
    """`first` is run by each before anything else."""
    started = [Worker(folder, first) for _ in range(count)]
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()
            for pipe in (worker.process.stdin, worker.process.stdout):
                if pipe is not None and not pipe.closed:
                    pipe.close()


def make_table(client: Client) -> None:
    client.create_table(
        TableName="notes",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    until_s = monotonic() + PATIENCE_S
    while client.describe_table(TableName="notes")["Table"]["TableStatus"] != "ACTIVE":
        assert monotonic() < until_s, "the table did not become active"


def put(id_: str) -> str:
    return f"client.put_item(TableName='notes', Item={{'id': {{'S': '{id_}'}}}})"


COUNT = "client.scan(TableName='notes', Select='COUNT')['Count']"


def owns(client: Client) -> bool:
    caller = client._caller
    assert isinstance(caller, JsonCaller)
    assert isinstance(caller._transport, FileTransport)
    return caller._transport.owns


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with one table in it, that nobody has open."""
    made = tmp_path / "data"
    with penstock.connect(f"file:{made}") as client:
        make_table(client)
    return made


# Why: the promise of the whole module: the second connect just works, in both directions.
def test_a_second_process_reads_and_writes_what_the_owner_has(folder: Path) -> None:
    with penstock.connect(f"file:{folder}") as client, workers(folder, 1) as (guest,):
        assert owns(client)
        assert guest.hear() == "guest"
        client.put_item(TableName="notes", Item={"id": {"S": "1"}})
        assert (
            guest.ask("client.get_item(TableName='notes', Key={'id': {'S': '1'}})")
            == "{'Item': {'id': {'S': '1'}}}"
        )
        assert guest.ask(put("2")) == "{}"
        assert client.get_item(TableName="notes", Key={"id": {"S": "2"}})["Item"] == {"id": {"S": "2"}}


# Why: O1 and O2. The socket of a killed owner lies there still; the guest must find that out and take over, with
# everything that was acknowledged.
def test_a_guest_takes_over_when_the_owner_is_killed(folder: Path) -> None:
    with workers(folder, 1) as (owner,):
        assert owner.hear() == "owner"
        with penstock.connect(f"file:{folder}") as client:
            assert not owns(client)
            client.put_item(TableName="notes", Item={"id": {"S": "1"}})
            owner.kill()
            assert (folder / SOCKET).exists()
            assert client.get_item(TableName="notes", Key={"id": {"S": "1"}})["Item"] == {"id": {"S": "1"}}
            assert owns(client)


# Why: the same when the owner leaves in good order.
def test_a_guest_takes_over_when_the_owner_closes(folder: Path) -> None:
    with workers(folder, 1) as (guest,):
        with penstock.connect(f"file:{folder}") as client:
            client.put_item(TableName="notes", Item={"id": {"S": "1"}})
            # Started before, the guest may be the owner; then there is nothing to hand over.
            assert {owns(client), guest.hear() == "owner"} == {True, False}
        assert guest.ask(COUNT) == "1"
        assert guest.ask("client._caller._transport.owns") == "True"


# Why: starters race. One must win, the others must find it, and no write may be lost to a second engine.
def test_processes_that_start_at_once_have_one_owner(folder: Path) -> None:
    with workers(folder, 5) as started:
        assert sorted(worker.hear() for worker in started) == ["guest"] * 4 + ["owner"]
        for place, worker in enumerate(started):
            worker.tell(put(str(place)))
        assert {worker.hear() for worker in started} == {"{}"}
        assert {worker.ask(COUNT) for worker in started} == {"5"}


# Why: guests race too, when the owner dies under them.
def test_guests_of_a_killed_owner_agree_on_the_next(folder: Path) -> None:
    with workers(folder, 4) as started:
        roles = [worker.hear() for worker in started]
        started[roles.index("owner")].kill()
        left = [worker for worker, role in zip(started, roles, strict=True) if role == "guest"]
        for place, worker in enumerate(left):
            worker.tell(put(str(place)))
        assert {worker.hear() for worker in left} == {"{}"}
        owning = [worker.ask("client._caller._transport.owns") for worker in left]
        assert sorted(owning) == ["False", "False", "True"]
        assert {worker.ask(COUNT) for worker in left} == {"3"}


# Why: programs end without closing; what they were told is written must be there, and the exit must be clean.
def test_a_process_that_never_closes_loses_nothing(folder: Path) -> None:
    with workers(folder, 1) as (worker,):
        assert worker.hear() == "owner"
        assert worker.ask(put("1")) == "{}"
        assert worker.end() == 0
    assert not (folder / SOCKET).exists()
    with penstock.connect(f"file:{folder}") as client:
        assert client.scan(TableName="notes", Select="COUNT")["Count"] == 1


# Why: a notebook runs its first cell again; two engines on one directory would be the end of it.
def test_clients_of_one_process_share_one_engine(folder: Path) -> None:
    first, second = penstock.connect(f"file:{folder}"), penstock.connect(f"file:{folder}/../data")
    assert owns(first)
    assert owns(second)
    first.put_item(TableName="notes", Item={"id": {"S": "1"}})
    first.close()
    assert second.get_item(TableName="notes", Key={"id": {"S": "1"}})["Item"] == {"id": {"S": "1"}}
    assert Claim.try_for(folder) is None
    second.close()
    claim = Claim.try_for(folder)
    assert claim is not None
    claim.release()


# Why: a closed client is closed, also where another one keeps the engine running.
def test_a_closed_client_refuses_and_may_be_closed_again(folder: Path) -> None:
    with penstock.connect(f"file:{folder}"):
        client = penstock.connect(f"file:{folder}")
        client.close()
        client.close()
        with pytest.raises(UsageError, match="closed"):
            client.list_tables()


# Why: a client that is dropped must give the directory back without being asked.
def test_a_dropped_client_gives_the_directory_back(folder: Path) -> None:
    client = penstock.connect(f"file:{folder}")
    del client
    gc.collect()
    claim = Claim.try_for(folder)
    assert claim is not None
    claim.release()


# Why: after a fork the engine's threads are gone and its files are shared: the child must not touch it, but may ask.
def test_a_forked_child_is_refused_and_may_connect_anew(folder: Path) -> None:
    with workers(folder, 1) as (owner,):
        assert owner.hear() == "owner"
        fork = """
(lambda pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if pid else os._exit(child()))(os.fork())
"""
        define = """
exec('''
def child():
    try:
        client.list_tables()
    except penstock.UsageError as error:
        if "fork" not in str(error):
            return 1
    else:
        return 2
    with penstock.connect("file:" + sys.argv[1]) as again:
        again.put_item(TableName="notes", Item={"id": {"S": "child"}})
        return 3 if again._caller._transport.owns else 0
''', globals())
"""
        assert owner.ask(repr(define.strip()) + " and " + define.strip().replace("\n", "\\n")) in ("None",)
        assert owner.ask(fork.strip()) == "0"
        assert owner.ask(COUNT) == "1"


# Why: a child that ends in the ordinary way takes the engine's objects down with its interpreter, and RocksDB would wait
# for threads that a fork does not copy.
def test_a_forked_child_ends_in_good_order(folder: Path) -> None:
    with workers(folder, 1) as (owner,):
        assert owner.hear() == "owner"
        assert owner.ask("os.waitstatus_to_exitcode(os.waitpid(os.fork() or sys.exit(0), 0)[1])") == "0"
        assert owner.ask(put("1")) == "{}"


# Why: a child closes its copies of the guests' connections; theirs to the parent must not end with them.
def test_a_forked_child_leaves_the_connections_of_its_parents_guests_alone(folder: Path) -> None:
    with workers(folder, 1) as (owner,):
        assert owner.hear() == "owner"
        with open_socket(folder, PATIENCE_S) as guest:
            for end in ("os._exit(0)", "sys.exit(0)"):
                assert owner.ask(f"os.waitstatus_to_exitcode(os.waitpid(os.fork() or {end}, 0)[1])") == "0"
                guest.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert guest.recv(1000).startswith(b"HTTP/1.1 200 ")


STAY = "sys.stdin.close() or __import__('signal').pause()"
FORK = f"os.fork() or {STAY}"
# The parent's answer comes once the child has let go and said so.
FORK_AND_WAIT = f"(lambda r, w, pid: pid and os.read(r, 1) and pid or os.write(w, b'.') and {STAY})(*os.pipe(), os.fork())"


@contextmanager
def child_left_behind(owner: Worker, *, is_held: bool = False) -> Iterator[None]:
    """The owner forks a child that stays, and is killed: once the child has let go, or where it is held before that."""
    child = int(owner.ask(FORK if is_held else FORK_AND_WAIT))
    try:
        owner.kill()
        yield
    finally:
        os.kill(child, signal.SIGKILL)


# Why: O4. A child that outlives its parent, as data loaders do, must not hold the directory.
def test_a_child_that_outlives_the_owner_does_not_hold_the_directory(folder: Path) -> None:
    with workers(folder, 1) as (owner,):
        assert owner.hear() == "owner"
        assert owner.ask(put("1")) == "{}"
        with child_left_behind(owner), penstock.connect(f"file:{folder}") as client:
            assert client.scan(TableName="notes", Select="COUNT")["Count"] == 1
            assert owns(client)


# Why: O4. A machine without /dev/fd, or no descriptor left to list it with, is a reason to keep a connection, not the directory.
def test_a_child_that_cannot_list_its_descriptors_does_not_hold_the_directory(folder: Path) -> None:
    with workers(folder, 1) as (owner,):
        assert owner.hear() == "owner"
        assert owner.ask(put("1")) == "{}"
        assert owner.ask("setattr(os, 'listdir', None)") == "None"
        with child_left_behind(owner), penstock.connect(f"file:{folder}") as client:
            assert client.scan(TableName="notes", Select="COUNT")["Count"] == 1
            assert owns(client)


# Why: O4. A fork returns in the parent before the child has run at all; who connects in that moment reaches a socket that
# nobody answers on.
def test_who_connects_before_the_child_has_let_go_becomes_the_owner_with_its_first_call(folder: Path) -> None:
    gate = folder.parent / "gate"
    os.mkfifo(gate)
    with workers(folder, 1, f"os.register_at_fork(after_in_child=open({str(gate)!r}).read)") as (owner,):
        opened = gate.open("w")  # The worker opens it while it starts, and reads it in the child.
        assert owner.hear() == "owner"
        assert owner.ask(put("1")) == "{}"
        with child_left_behind(owner, is_held=True), penstock.connect(f"file:{folder}") as client:
            assert not owns(client)
            opened.close()
            assert client.scan(TableName="notes", Select="COUNT")["Count"] == 1
            assert owns(client)


# Why: O4. A connection that a child still holds does not end with the owner: a guest would wait for an answer on it.
def test_a_child_that_outlives_the_owner_does_not_hold_the_connections_of_guests(folder: Path) -> None:
    with workers(folder, 1) as (owner,):
        assert owner.hear() == "owner"
        with open_socket(folder, PATIENCE_S) as guest:
            guest.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert guest.recv(100)
            with child_left_behind(owner):
                while guest.recv(1000):
                    """What is left of the answer."""


# Why: a long-lived program opens and closes; a descriptor left each time would end it some day.
def test_opening_and_closing_leaves_no_descriptor_behind(folder: Path) -> None:
    def cycle() -> int:
        with penstock.connect(f"file:{folder}") as client:
            client.list_tables()
        return len(os.listdir("/dev/fd"))

    cycle()
    assert cycle() == cycle()


# Why: O3. Test runners and users have deep directories, and a socket's path has 108 bytes.
def test_a_long_path_has_a_socket_all_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    with penstock.connect(f"file:{deep}") as client, workers(deep, 1) as (guest,):
        make_table(client)
        assert guest.hear() == "guest"
        assert guest.ask(put("1")) == "{}"
        assert stat.S_ISSOCK((deep / SOCKET).stat().st_mode)


# Why: L2. The socket asks for no signature, so nobody else may open it.
def test_the_socket_is_for_its_user_alone(folder: Path) -> None:
    with penstock.connect(f"file:{folder}"):
        assert stat.S_IMODE((folder / SOCKET).stat().st_mode) == 0o600
        open_socket(folder, PATIENCE_S).close()
    with pytest.raises(OwnerGone):
        open_socket(folder, PATIENCE_S)
