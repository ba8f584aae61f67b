"""The commands as a person runs them: check and explain, on data that is served and on data that is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tables import index, table_request

import penstock
from penstock.cli.crash_test import Child
from penstock.connect.client import Client
from penstock.model.keys import space_bounds
from penstock.store.interface import Family
from penstock.store.rocks import open_store

PATIENCE_S = 60


def penstock_(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def fill(client: Client) -> None:
    """Three songs, each with an entry in a local index."""
    request = table_request(keys="pk sk", LocalSecondaryIndexes=[index("local", "pk", "sk")])
    client.create_table(**request)
    for number in range(3):
        client.put_item(TableName="music", Item={"pk": {"S": "a"}, "sk": {"S": str(number)}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory that nobody serves."""
    with penstock.connect(f"file:{tmp_path / 'data'}") as client:
        fill(client)
    return tmp_path / "data"


@pytest.fixture
def served(folder: Path) -> Iterator[Child]:
    child = Child(folder)
    yield child
    child.kill()


# Why: the command that people trust the data by, where all is well.
def test_check_says_that_a_directory_is_sound(folder: Path) -> None:
    ran = penstock_("check", str(folder))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 items · 3 index entries" in " ".join(ran.stdout.split())
    assert "sound" in ran.stdout
    answer = json.loads(penstock_("check", str(folder), "--json").stdout)
    assert answer["sound"]
    assert (answer["items"], answer["entries"], answer["findings"]) == (3, 3, [])


# Why: of a served directory a checkpoint is checked, while the server goes on; it is gone afterwards.
def test_check_of_a_served_directory_checks_a_checkpoint(folder: Path, served: Child) -> None:
    with penstock.connect(served.url) as client:
        client.put_item(TableName="music", Item={"pk": {"S": "a"}, "sk": {"S": "new"}})
        ran = penstock_("check", str(folder))
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "4 items" in " ".join(ran.stdout.split())
        assert not (folder / "checkpoint").exists()
        assert client.scan(TableName="music")["Count"] == 4


# Why: what is wrong is named, and a script sees it by the exit code.
def test_check_names_an_index_entry_that_is_missing(folder: Path) -> None:
    store = open_store(folder)
    batch = store.batch()
    batch.delete_range(Family.DATA, *space_bounds(2))
    store.write(batch)
    store.close()
    ran = penstock_("check", str(folder))
    assert ran.returncode == 1
    assert ran.stdout.count("index music/local: no entry for the item") == 3
    assert "counters say 3 items" in ran.stdout


# Why: flipped bytes on disk are damage to be told, not a traceback.
def test_check_tells_damaged_files(folder: Path) -> None:
    for path in (folder / "rocks").glob("*.sst"):
        content = bytearray(path.read_bytes())
        content[10] ^= 0xFF
        path.write_bytes(content)
    ran = penstock_("check", str(folder))
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "wrong" in ran.stdout


# Why: checking must not make a directory where there was none.
def test_check_of_a_place_without_data_says_so(tmp_path: Path) -> None:
    ran = penstock_("check", str(tmp_path / "nothing"))
    assert ran.returncode == 2
    assert "holds no Penstock data" in ran.stderr
    assert not (tmp_path / "nothing").exists()


# Why: the same answer from the directory, served or not, and over HTTP.
def test_explain_tells_a_query_s_reads_and_its_price(folder: Path, served: Child) -> None:
    query = {
        "TableName": "music",
        "IndexName": "local",
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "a"}},
    }
    texts = []
    for where in (["--url", served.url], ["--data", str(folder)]):
        ran = penstock_("explain", "Query", json.dumps(query), *where)
        assert ran.returncode == 0, ran.stderr
        texts.append(" ".join(ran.stdout.split()))
    assert texts[0] == texts[1]
    assert "one partition of the index · music · local" in texts[0]
    assert "reads 3 items, 18 bytes" in texts[0]
    assert "0.5 read units" in texts[0]
    as_json = penstock_("explain", "Query", json.dumps(query), "--url", served.url, "--json")
    assert json.loads(as_json.stdout)["ItemsRead"] == 3


# Why: AWS's own words for a bad request, in one line and without a traceback.
def test_explain_gives_the_error_that_the_request_would_get(folder: Path) -> None:
    ran = penstock_("explain", "Scan", '{"TableName": "other"}', "--data", str(folder))
    assert ran.returncode == 1
    assert ran.stderr == "penstock: ResourceNotFoundException: Requested resource not found\n"
    assert penstock_("explain", "Scan", "{", "--data", str(folder)).returncode == 2


# Why: only the socket in the directory may ask for a checkpoint; see D5 in wire/dispatch.py.
def test_a_checkpoint_is_refused_over_tcp_and_made_for_a_file_client(folder: Path, served: Child) -> None:
    with penstock.connect(served.url) as client, pytest.raises(penstock.ServiceError) as refused:
        client.checkpoint()
    assert refused.value.code == "AccessDeniedException"
    with penstock.connect(f"file:{folder}") as client:
        place = Path(client.checkpoint())
    assert place == folder.resolve() / "checkpoint"
    assert penstock_("check", str(place)).returncode == 0
