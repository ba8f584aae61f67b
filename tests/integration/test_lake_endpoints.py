"""Each endpoint of the Iceberg REST catalogue, asked as the specification writes it: one case for each one advertised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from tests.integration.test_lake_catalog import Served
from tests.lake_setup import TABLE

SCHEMA = {
    "type": "struct",
    "schema-id": 0,
    "fields": [{"id": 1, "name": "id", "required": False, "type": "long"}],
}
SPACE = "/v1/namespaces/mine"


class Door:
    """A client of a lake with the tables mine.a and mine.b."""

    def __init__(self, folder: Path) -> None:
        self.served = Served(folder)
        self.folder = folder
        self._client = httpx.Client(base_url=self.served.url)
        self.ask("POST", "/v1/namespaces", 200, {"namespace": ["mine"]})
        for name in "ab":
            self.ask("POST", f"{SPACE}/tables", 200, {"name": name, "schema": SCHEMA})

    def ask(self, method: str, path: str, status: int, body: object = None) -> Any:
        answer = self._client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def trouble(self, method: str, path: str, status: int, body: object = None) -> str:
        """The name of the error in the specification's form."""
        told = self.ask(method, path, status, body)["error"]
        assert told["code"] == status
        assert told["message"]
        return str(told["type"])

    def names(self) -> list[str]:
        return [each["name"] for each in self.ask("GET", f"{SPACE}/tables", 200)["identifiers"]]

    def properties(self, name: str) -> dict[str, str]:
        found: dict[str, str] = self.ask("GET", f"{SPACE}/tables/{name}", 200)["metadata"]["properties"]
        return found

    def close(self) -> None:
        self._client.close()
        self.served.listener.close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path)
    yield made
    made.close()


def change(name: str, *, stale: bool = False) -> dict[str, Any]:
    return {
        "identifier": {"namespace": ["mine"], "name": name},
        "requirements": [
            {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": 7 if stale else None}
        ],
        "updates": [{"action": "set-properties", "updates": {"touched": "yes"}}],
    }


def list_namespaces(door: Door) -> None:
    names = door.ask("GET", "/v1/namespaces", 200)["namespaces"]
    assert names == [["current"], ["mine"], ["raw"]]
    assert door.ask("GET", "/v1/namespaces?parent=mine", 200)["namespaces"] == []


def create_namespace(door: Door) -> None:
    made = door.ask("POST", "/v1/namespaces", 200, {"namespace": ["other"], "properties": {"owner": "me"}})
    assert made == {"namespace": ["other"], "properties": {"owner": "me"}}
    assert door.trouble("POST", "/v1/namespaces", 409, {"namespace": ["other"]}) == "AlreadyExistsException"
    for wrong in (["a", "b"], [".."], [""], "text", None):
        assert door.trouble("POST", "/v1/namespaces", 400, {"namespace": wrong}) == "BadRequestException"


def load_namespace(door: Door) -> None:
    assert door.ask("GET", SPACE, 200)["namespace"] == ["mine"]
    assert door.trouble("GET", "/v1/namespaces/none", 404) == "NoSuchNamespaceException"
    assert door.trouble("GET", "/v1/namespaces/a%1Fb", 404) == "NoSuchNamespaceException"


def head_namespace(door: Door) -> None:
    assert door.ask("HEAD", SPACE, 204) is None
    assert door.ask("HEAD", "/v1/namespaces/none", 404) is None


def drop_namespace(door: Door) -> None:
    assert door.trouble("DELETE", SPACE, 409) == "NamespaceNotEmptyException"
    for name in "ab":
        door.ask("DELETE", f"{SPACE}/tables/{name}", 204)
    door.ask("DELETE", SPACE, 204)
    assert door.trouble("DELETE", SPACE, 404) == "NoSuchNamespaceException"


def update_namespace(door: Door) -> None:
    path = f"{SPACE}/properties"
    told = door.ask("POST", path, 200, {"updates": {"a": "1", "b": "2"}, "removals": ["none"]})
    assert (sorted(told["updated"]), told["missing"]) == (["a", "b"], ["none"])
    assert door.ask("POST", path, 200, {"removals": ["a"]})["removed"] == ["a"]
    assert door.ask("GET", SPACE, 200)["properties"]["b"] == "2"
    both = {"updates": {"a": "1"}, "removals": ["a"]}
    assert door.trouble("POST", path, 422, both) == "UnprocessableEntityException"


def list_tables(door: Door) -> None:
    # Pages are the server's choice: it gives all of them, and names no next page.
    told = door.ask("GET", f"{SPACE}/tables?pageSize=1&pageToken=", 200)
    assert [each["name"] for each in told["identifiers"]] == ["a", "b"]
    assert told.get("next-page-token") is None
    assert door.trouble("GET", "/v1/namespaces/none/tables", 404) == "NoSuchNamespaceException"


def create_table(door: Door) -> None:
    staged = door.ask("POST", f"{SPACE}/tables", 200, {"name": "c", "schema": SCHEMA, "stage-create": True})
    assert staged["metadata"]["table-uuid"]
    assert "c" not in door.names()
    assert door.trouble("POST", f"{SPACE}/tables", 409, {"name": "a", "schema": SCHEMA}) == (
        "AlreadyExistsException"
    )
    assert door.trouble("POST", "/v1/namespaces/none/tables", 404, {"name": "a", "schema": SCHEMA}) == (
        "NoSuchNamespaceException"
    )
    for wrong in ({"name": "a/b", "schema": SCHEMA}, {"name": "x"}, {"name": "x", "schema": {"type": "no"}}):
        assert door.trouble("POST", f"{SPACE}/tables", 400, wrong) == "BadRequestException"
    outside = {"name": "x", "schema": SCHEMA, "location": "file:///tmp/elsewhere"}
    assert door.trouble("POST", f"{SPACE}/tables", 400, outside) == "BadRequestException"


def load_table(door: Door) -> None:
    told = door.ask("GET", f"{SPACE}/tables/a", 200)
    assert told["metadata"]["format-version"] == 2
    assert told["metadata-location"].endswith(".metadata.json")
    assert door.trouble("GET", f"{SPACE}/tables/none", 404) == "NoSuchTableException"


def head_table(door: Door) -> None:
    assert door.ask("HEAD", f"{SPACE}/tables/a", 204) is None
    assert door.ask("HEAD", f"{SPACE}/tables/none", 404) is None


def commit_table(door: Door) -> None:
    told = door.ask("POST", f"{SPACE}/tables/a", 200, change("a"))
    assert told["metadata"]["properties"]["touched"] == "yes"
    assert door.trouble("POST", f"{SPACE}/tables/a", 409, change("a", stale=True)) == "CommitFailedException"
    assert door.trouble("POST", f"{SPACE}/tables/none", 404, change("none")) == "NoSuchTableException"
    unknown = {**change("a"), "updates": [{"action": "dance"}]}
    assert door.trouble("POST", f"{SPACE}/tables/a", 400, unknown) == "BadRequestException"
    own = f"/v1/namespaces/raw/tables/{TABLE}"
    forged = {"requirements": [], "updates": [{"action": "set-properties", "updates": {"penstock.x": "1"}}]}
    assert door.trouble("POST", own, 403, forged) == "ForbiddenException"


def drop_table(door: Door) -> None:
    def files() -> list[Path]:
        return [path for path in door.folder.rglob("*") if path.is_file() and "/mine" in str(path)]

    catalog = door.served.client()
    catalog.load_table("mine.a").append(pa.table({"id": pa.array([1], pa.int64())}))
    before = len(files())
    door.ask("DELETE", f"{SPACE}/tables/b", 204)
    assert len(files()) == before, "files stay where no purge is asked for"
    door.ask("DELETE", f"{SPACE}/tables/a?purgeRequested=true", 204)
    assert not [path for path in files() if "/a/" in str(path)]
    assert door.names() == []
    assert door.trouble("DELETE", f"{SPACE}/tables/a", 404) == "NoSuchTableException"
    # A table that lies in the folder of one that is purged stays whole.
    door.ask("POST", f"{SPACE}/tables", 200, {"name": "a", "schema": SCHEMA})
    move = {
        "source": {"namespace": ["mine"], "name": "a"},
        "destination": {"namespace": ["mine"], "name": "c"},
    }
    door.ask("POST", "/v1/tables/rename", 204, move)
    door.ask("POST", f"{SPACE}/tables", 200, {"name": "a", "schema": SCHEMA})
    door.ask("DELETE", f"{SPACE}/tables/a?purgeRequested=true", 204)
    catalog.load_table("mine.c").append(pa.table({"id": pa.array([1], pa.int64())}))
    assert catalog.load_table("mine.c").scan().to_arrow().num_rows == 1


def report_metrics(door: Door) -> None:
    assert door.ask("POST", f"{SPACE}/tables/a/metrics", 204, {"report-type": "scan-report"}) is None


def register_table(door: Door) -> None:
    place = door.ask("GET", f"{SPACE}/tables/a", 200)["metadata-location"]
    door.ask("DELETE", f"{SPACE}/tables/a", 204)
    told = door.ask("POST", f"{SPACE}/register", 200, {"name": "back", "metadata-location": place})
    assert told["metadata-location"] == place
    again = {"name": "back", "metadata-location": place}
    assert door.trouble("POST", f"{SPACE}/register", 409, again) == "AlreadyExistsException"
    assert door.trouble("POST", f"{SPACE}/register", 400, {"name": "x"}) == "BadRequestException"


def rename_table(door: Door) -> None:
    def move(source: str, target: str, namespace: str = "mine") -> dict[str, Any]:
        return {
            "source": {"namespace": ["mine"], "name": source},
            "destination": {"namespace": [namespace], "name": target},
        }

    door.ask("POST", "/v1/tables/rename", 204, move("a", "c"))
    assert door.names() == ["b", "c"]
    assert door.trouble("POST", "/v1/tables/rename", 409, move("b", "c")) == "AlreadyExistsException"
    assert door.trouble("POST", "/v1/tables/rename", 404, move("none", "d")) == "NoSuchTableException"
    assert (
        door.trouble("POST", "/v1/tables/rename", 404, move("b", "b", "none")) == "NoSuchNamespaceException"
    )
    assert door.trouble("POST", "/v1/tables/rename", 403, move("b", "b", "raw")) == "ForbiddenException"
    assert door.trouble("POST", "/v1/tables/rename", 400, {}) == "BadRequestException"


def commit_transaction(door: Door) -> None:
    path = "/v1/transactions/commit"
    one_stale = {"table-changes": [change("a"), change("b", stale=True)]}
    assert door.trouble("POST", path, 409, one_stale) == "CommitFailedException"
    gone = {"table-changes": [change("a"), change("none")]}
    assert door.trouble("POST", path, 404, gone) == "NoSuchTableException"
    twice = {"table-changes": [change("a"), change("a")]}
    assert door.trouble("POST", path, 400, twice) == "BadRequestException"
    assert "touched" not in door.properties("a") | door.properties("b")
    door.ask("POST", path, 204, {"table-changes": [change("a"), change("b")]})
    assert door.properties("a")["touched"] == door.properties("b")["touched"] == "yes"
    assert door.trouble("POST", path, 400, {"table-changes": []}) == "BadRequestException"


_SPACES = "/v1/{prefix}/namespaces"
_TABLES = f"{_SPACES}/{{namespace}}/tables"
ENDPOINTS: dict[str, Callable[[Door], None]] = {
    f"GET {_SPACES}": list_namespaces,
    f"POST {_SPACES}": create_namespace,
    f"GET {_SPACES}/{{namespace}}": load_namespace,
    f"HEAD {_SPACES}/{{namespace}}": head_namespace,
    f"DELETE {_SPACES}/{{namespace}}": drop_namespace,
    f"POST {_SPACES}/{{namespace}}/properties": update_namespace,
    f"GET {_TABLES}": list_tables,
    f"POST {_TABLES}": create_table,
    f"GET {_TABLES}/{{table}}": load_table,
    f"HEAD {_TABLES}/{{table}}": head_table,
    f"POST {_TABLES}/{{table}}": commit_table,
    f"DELETE {_TABLES}/{{table}}": drop_table,
    f"POST {_TABLES}/{{table}}/metrics": report_metrics,
    f"POST {_SPACES}/{{namespace}}/register": register_table,
    "POST /v1/{prefix}/tables/rename": rename_table,
    "POST /v1/{prefix}/transactions/commit": commit_transaction,
}


# Why: engines differ in which endpoints they ask, and take the catalogue at its word.
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_each_endpoint_does_what_the_specification_says(door: Door, endpoint: str) -> None:
    ENDPOINTS[endpoint](door)


# Why: a client falls back to a standard list where none is told, and asks for views that are not there.
def test_the_catalogue_tells_exactly_what_it_serves(door: Door) -> None:
    told = door.ask("GET", "/v1/config", 200)
    assert sorted(told["endpoints"]) == sorted(ENDPOINTS)
    assert not any("view" in endpoint for endpoint in told["endpoints"])
    door.ask("GET", f"{SPACE}/views", 404)
    door.ask("POST", f"{SPACE}/views", 404, {})
    door.ask("PUT", SPACE, 405)
