"""Files of a lake that are damaged, and a disk that is full: told by name, healed, and no trouble of anybody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.integration.test_lake_process import command
from tests.lake_setup import TABLE, Shop, unordered, until
from tests.small_disk import small_disk_at

import penstock
from penstock.app.application import App
from penstock.errors import Corruption
from penstock.lake.iceberg.local_files import local_path
from penstock.lake.iceberg.warehouse import open_warehouse
from penstock.lake.process import LakeProcess
from penstock.sql.databases import Bounds, QueryError
from penstock.sql.lake import open_lake
from penstock.sql.service import start_lake


class Harm:
    """What may happen to one table's files. Each gives the file that it damaged."""

    def __init__(self, folder: Path, namespace: str, name: str = TABLE) -> None:
        warehouse = open_warehouse(folder)
        assert warehouse.local is not None
        found = warehouse.find(namespace, name)
        assert found is not None
        self._table = found
        self._pointer = warehouse.local.pointer((namespace, name))

    def broken_metadata(self) -> Path:
        return _cut(self._pointer)

    def missing_metadata(self) -> Path:
        return _lose(self._pointer)

    def missing_manifest_list(self) -> Path:
        snapshot = self._table.table.metadata.current_snapshot()
        assert snapshot is not None
        return _lose(snapshot.manifest_list)

    def broken_manifest(self) -> Path:
        return _cut(self._table.manifests[-1].manifest_path)

    def broken_data(self) -> Path:
        return _cut(list(self._table.data)[-1])

    def missing_data(self) -> Path:
        return _lose(list(self._table.data)[-1])


def _cut(location: str) -> Path:
    path = Path(local_path(location))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def _lose(location: str) -> Path:
    path = Path(local_path(location))
    path.unlink()
    return path


HARMS: list[Callable[[Harm], Path]] = [
    Harm.broken_metadata, Harm.missing_metadata, Harm.missing_manifest_list, Harm.broken_manifest,
    Harm.broken_data, Harm.missing_data,
]  # fmt: skip


def _landed(folder: Path) -> Shop:
    shop = Shop(folder)
    for at in range(6):
        shop.put("c1", at, amount={"N": str(at)}, price={"N": "1"})
    shop.pass_time()
    sink = shop.sink(declared={"price": "decimal(5,2)"})
    shop.drain(sink)
    for at in range(3):
        shop.put("c1", at, amount={"N": "99"})
        shop.drain(sink)
    shop.put("c1", 5, price={"S": "dear"})
    shop.drain(sink)
    return shop


def _rebuild(folder: Path) -> str:
    done = command("lake", "rebuild", TABLE, "--lake", f"file:{folder}")
    assert done.returncode == 0, done.stderr
    return done.stdout


# Why: whoever finds a broken file wants to know which one and what to do, and others want to go on.
@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_damage_of_current_is_told_by_file_and_healed_from_raw(
    tmp_path: Path, harm: Callable[[Harm], Path]
) -> None:
    shop = _landed(tmp_path)
    before = unordered(shop.landed())
    damaged = harm(Harm(tmp_path, "current"))
    fresh = Shop.lake_of(tmp_path)
    with pytest.raises(Exception, match=damaged.name):
        fresh.sql(f"SELECT sum(amount) FROM current.{TABLE}")
    assert len(fresh.sql(f"FROM raw.{TABLE}")) == 10
    listed = command("lake", "tables", "--lake", f"file:{tmp_path}")
    assert (listed.returncode, f"raw.{TABLE}" in listed.stdout) == (0, True)
    assert "rebuilt from 10 changes" in _rebuild(tmp_path)
    assert unordered(shop.landed()) == before
    # It goes on from there, and nothing is refused twice.
    sink = shop.sink(declared={"price": "decimal(5,2)"})
    shop.put("c2", 1)
    shop.drain(sink)
    assert len(shop.landed()) == len(before) + 1
    assert len(shop.lake.sql(f"FROM quarantine.{TABLE}")) == 1


# Why: raw is the log itself; what its last commits held is still in the stream, and their position went back with them.
@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_damage_of_the_latest_raw_is_healed_from_the_stream(
    tmp_path: Path, harm: Callable[[Harm], Path]
) -> None:
    shop = _landed(tmp_path)
    before, log = unordered(shop.landed()), _log_of(shop)
    damaged = harm(Harm(tmp_path, "raw"))
    with pytest.raises(Exception, match=damaged.name):
        Shop.lake_of(tmp_path).sql(f"SELECT sum(length(new_image)) FROM raw.{TABLE}")
    assert f"raw.{TABLE}: back at change" in _rebuild(tmp_path)
    shop.drain(shop.sink(declared={"price": "decimal(5,2)"}))
    assert unordered(shop.landed()) == before
    assert _log_of(shop) == log


def _log_of(shop: Shop) -> list[dict[str, object]]:
    return shop.lake.sql(f"SELECT ordinal, operation, key, new_image FROM raw.{TABLE} ORDER BY 1").rows()


# Why: history that no copy brings back must not stand in the way of the table's present.
def test_a_raw_that_cannot_be_healed_is_begun_anew_when_asked(tmp_path: Path) -> None:
    shop = _landed(tmp_path)
    sink = shop.sink()
    first = next(iter(sink.raw.table.data))
    # Metadata goes back ten commits: this file is older.
    for turn in range(12):
        shop.put("c2", turn)
        shop.drain(sink)
    lost = _lose(first)
    done = command("lake", "rebuild", TABLE, "--lake", f"file:{tmp_path}")
    assert (done.returncode != 0, lost.name in done.stderr, "--anew" in done.stderr) == (True, True, True)
    with pytest.raises(Corruption, match=lost.name):
        list(sink.raw.read(0, 100))
    assert command("lake", "rebuild", TABLE, "--anew", "--lake", f"file:{tmp_path}").returncode == 0
    shop.drain(shop.sink())
    assert unordered(shop.landed()) == unordered(shop.items())


# Why: a catalogue that SQLite cannot read is nobody's bug; the file's name and the way out are what helps.
def test_a_broken_catalogue_is_told_by_name(tmp_path: Path) -> None:
    _landed(tmp_path)
    for file in tmp_path.glob("catalog.sqlite*"):
        file.unlink()
    (tmp_path / "catalog.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(Corruption, match=r"catalog\.sqlite is damaged"):
        Shop.lake_of(tmp_path).sql(f"FROM raw.{TABLE}")


class Followed:
    """Two tables and a lake process over them; the lake has a folder of its own."""

    def __init__(self, folder: Path, lake: Path) -> None:
        self.lake = lake
        self.client = penstock.connect(f"file:{folder / 'data'}")
        self.app = App("shop")
        for name in ("first", "second"):
            table = self.app.table(name, partition_key="id", stream=True)
            self.client.create_table(**table.definition())
            self.app.lake(table)
        self.process: LakeProcess = start_lake(self.app, f"file:{folder / 'data'}", f"file:{lake}", 0)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.process.port}", timeout=60)

    def put(self, table: str, *numbers: int, size: int = 10) -> None:
        for number in numbers:
            item = {"id": {"S": f"k{number}"}, "text": {"S": f"{number}" * size}}
            self.client.put_item(TableName=table, Item=item)

    def counts(self, name: str) -> tuple[int, int]:
        sql = f"SELECT (SELECT count(*) FROM raw.{name}), (SELECT count(*) FROM current.{name})"
        answer = self.http.post("/sql", json={"sql": sql})
        return tuple(answer.json()["rows"][0]) if answer.status_code == 200 else (-1, -1)

    def flow(self, name: str) -> tuple[str, str]:
        [found] = [flow for flow in self.http.get("/status").json()["tables"] if flow["table"] == name]
        return found["state"], found["message"]

    def close(self) -> None:
        self.http.close()
        self.process.stop()
        self.client.close()


# Why: one table's damage must neither end the process nor hold the others up, and is healed while it runs.
def test_damage_stops_one_table_and_a_rebuild_heals_it_while_the_process_runs(tmp_path: Path) -> None:
    followed = Followed(tmp_path, tmp_path / "lake")
    try:
        for name in ("first", "second"):
            followed.put(name, 1, 2, 3)
        until(lambda: followed.counts("first") == (3, 3) == followed.counts("second"))
        damaged = Harm(followed.lake, "current", "first").broken_metadata()
        # The process remembers what it read; a table that changes is read again.
        followed.process.follower("first").stop()
        followed.process.follower("first").join()
        assert followed.process.warehouse.local is not None
        followed.process.warehouse.local.forget_all()
        restarted = followed.process.follower("first").another()
        restarted.start()
        restarted.join()
        assert (restarted.flow.state, damaged.name in restarted.flow.message) == ("failed", True)
        assert "lake rebuild first" in restarted.flow.message
        followed.put("second", 4)
        until(lambda: followed.counts("second") == (4, 4))
        done = followed.http.post("/lake/first/rebuild")
        assert (done.status_code, "followed again" in done.text) == (200, True)
        followed.put("first", 4)
        until(lambda: followed.counts("first") == (4, 4))
    finally:
        followed.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """16 MB that can be filled."""
    with small_disk_at(tmp_path / "disk", 16) as folder:
        yield folder


def _fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2
    return ballast


# Why: a lake that fills its disk must say so, keep what it has, let the tables and SQL go on, and resume by itself.
def test_a_full_disk_is_told_and_the_flow_resumes_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    followed = Followed(tmp_path, small_disk / "lake")
    try:
        followed.put("first", *range(10))
        until(lambda: followed.counts("first") == (10, 10))
        ballast = _fill(small_disk)
        followed.put("first", *range(10, 20), size=5000)
        until(lambda: followed.flow("first")[0] == "waiting")
        assert "the disk is full" in followed.flow("first")[1]
        # The tables take writes, SQL answers from what is there.
        followed.put("second", 1)
        assert followed.counts("first")[1] in (10, 20)
        ballast.unlink()
        until(lambda: followed.counts("first") == (20, 20))
        until(lambda: followed.counts("second") == (1, 1))
        assert followed.flow("first")[0] == "following"
    finally:
        followed.close()


# Why: who has filled the disk asks what fills it. Only a query that must spill fails then, and says why.
@pytest.mark.parametrize("leave_folder", [True, False])
def test_queries_that_fit_in_memory_are_answered_on_a_full_disk(small_disk: Path, leave_folder: bool) -> None:
    bounds = Bounds(memory_mb=60, spill_mb=1000, threads=1)
    lake = open_lake(str(small_disk / "lake"), bounds)
    if leave_folder:
        lake.sql("SELECT 1")
    _fill(small_disk)
    if not leave_folder:
        (small_disk / "lake" / "spill").write_text("")  # As where a folder cannot be made.
    assert lake.sql("SELECT 1 AS one").rows() == [{"one": 1}]
    with pytest.raises(QueryError, match="no room to spill to"):
        lake.sql(
            "SELECT i, md5(i::VARCHAR) FROM range(3000000) r(i) ORDER BY 2, 1 LIMIT 500000 OFFSET 1000000"
        )
    assert lake.sql("SELECT 1 AS one").rows() == [{"one": 1}]
