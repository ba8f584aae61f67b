"""The Iceberg REST catalogue's calls on the local catalogue: parsed requests in, JSON out, errors with their REST names.

R1. `raw`, `current` and `quarantine` are written by their sinks: a commit of rows, a drop or a rename of theirs is refused.
    Tags, branches and properties of one's own may be set.
R2. Nothing outside the lake's folder can be registered or written: what the catalogue names, SQL may open.
R3. A transaction over several tables commits all or none (see catalog, G3).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pyiceberg.catalog.rest import CreateTableRequest
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.table import CommitTableRequest, Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import (
    AssertCreate,
    RemovePropertiesUpdate,
    RemoveSnapshotRefUpdate,
    SetLocationUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableUpdate,
)

from penstock.errors import PenstockError
from penstock.lake.iceberg.catalog import LocalCatalog, TableCommit
from penstock.lake.iceberg.local_files import local_path

SINK_NAMESPACES = frozenset({"raw", "current", "quarantine"})
_RESERVED = "penstock."


class RestError(PenstockError):
    """An answer of the REST specification: `type` is the exception's name there."""

    def __init__(self, status: int, type_: str, message: str) -> None:
        super().__init__(message)
        self.status, self.type = status, type_


_ERRORS: tuple[tuple[type[Exception], int, str], ...] = (
    (NoSuchTableError, 404, "NoSuchTableException"),
    (NoSuchNamespaceError, 404, "NoSuchNamespaceException"),
    (NamespaceAlreadyExistsError, 409, "AlreadyExistsException"),
    (TableAlreadyExistsError, 409, "AlreadyExistsException"),
    (NamespaceNotEmptyError, 409, "NamespaceNotEmptyException"),
    (CommitFailedException, 409, "CommitFailedException"),
    (ValidationError, 400, "BadRequestException"),
    (ValueError, 400, "BadRequestException"),
    (NotImplementedError, 406, "UnsupportedOperationException"),
)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except tuple(kind for kind, _, _ in _ERRORS) as error:
        status, type_ = next((status, type_) for kind, status, type_ in _ERRORS if isinstance(error, kind))
        raise RestError(status, type_, str(error)) from error


class RestCalls:
    """Any thread may call."""

    def __init__(self, catalog: LocalCatalog) -> None:
        self._catalog = catalog

    # -- Namespaces --

    def list_namespaces(self, parent: str | None) -> dict[str, Any]:
        with _translated():
            names = [] if parent else self._catalog.list_namespaces()
        return {"namespaces": [list(name) for name in sorted(names)]}

    def create_namespace(self, body: Mapping[str, Any]) -> dict[str, Any]:
        levels = body.get("namespace")
        if not isinstance(levels, list) or len(levels) != 1 or not _is_name(levels[0]):
            raise RestError(400, "BadRequestException", "a namespace is one name of letters, digits and _")
        properties = body.get("properties") or {}
        with _translated():
            self._catalog.create_namespace(levels[0], {"exists": "true", **properties})
        return {"namespace": levels, "properties": properties}

    def load_namespace(self, name: str) -> dict[str, Any]:
        with _translated():
            return {"namespace": [name], "properties": self._catalog.load_namespace_properties(name)}

    def drop_namespace(self, name: str) -> None:
        with _translated():
            self._catalog.drop_namespace(name)

    def update_namespace(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        removals, updates = set(body.get("removals") or []), body.get("updates") or {}
        if removals & updates.keys():
            raise RestError(422, "UnprocessableEntityException", "a property is both removed and updated")
        with _translated():
            summary = self._catalog.update_namespace_properties(name, removals, updates)
        return {"removed": summary.removed, "updated": summary.updated, "missing": summary.missing}

    # -- Tables --

    def list_tables(self, namespace: str) -> dict[str, Any]:
        with _translated():
            if not self._catalog.namespace_exists(namespace):
                raise NoSuchNamespaceError(f"Namespace does not exist: {namespace}")
            names = self._catalog.list_tables(namespace)
        return {"identifiers": [{"namespace": list(name[:-1]), "name": name[-1]} for name in sorted(names)]}

    def create_table(self, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        with _translated():
            asked = CreateTableRequest.model_validate(
                {"location": None, "partition-spec": None, "write-order": None, **body}
            )
        if not _is_name(asked.name):
            raise RestError(400, "BadRequestException", f"{asked.name!r} cannot be a table's name")
        self._check_writable(namespace, asked.name)
        if asked.location:
            self._check_inside(asked.location)
        arguments = (
            (namespace, asked.name),
            asked.table_schema,
            asked.location,
            asked.partition_spec or UNPARTITIONED_PARTITION_SPEC,
            asked.write_order or UNSORTED_SORT_ORDER,
            asked.properties,
        )
        with _translated():
            if not self._catalog.namespace_exists(namespace):
                raise NoSuchNamespaceError(f"Namespace does not exist: {namespace}")
            if not asked.stage_create:
                return _loaded(self._catalog.create_table(*arguments))
            if self._catalog.table_exists((namespace, asked.name)):
                raise TableAlreadyExistsError(f"Table {namespace}.{asked.name} already exists")
            staged = self._catalog._create_staged_table(*arguments)
            return {"metadata": _metadata(staged.metadata), "config": {}}

    def load_table(self, namespace: str, name: str) -> dict[str, Any]:
        with _translated():
            return _loaded(self._catalog.load_table((namespace, name)))

    def drop_table(self, namespace: str, name: str, *, purge: bool = False) -> None:
        """Its files stay unless the caller asks for a purge."""
        self._check_writable(namespace, name)
        with _translated():
            root = self._catalog.load_table((namespace, name)).location()
            self._catalog.drop_table((namespace, name))
        if purge:
            self._remove(Path(local_path(root)).resolve())

    def _remove(self, root: Path) -> None:
        """What lies in a dropped table's folder; nothing where another table's does too (one that took its old name)."""
        if not root.is_relative_to(self._catalog.folder) or root == self._catalog.folder:
            return
        for namespace in self._catalog.list_namespaces():
            for identifier in self._catalog.list_tables(namespace):
                path = Path(local_path(self._catalog.pointer(identifier))).resolve()
                if path.is_relative_to(root):
                    return
        shutil.rmtree(root, ignore_errors=True)

    def register_table(self, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        name, location = body.get("name"), body.get("metadata-location")
        if not isinstance(name, str) or not _is_name(name) or not isinstance(location, str):
            raise RestError(400, "BadRequestException", "register needs a name and a metadata-location")
        self._check_writable(namespace, name)
        self._check_inside(location)
        with _translated():
            table = self._catalog.register_table((namespace, name), location)
        return _loaded(table)

    def rename_table(self, body: Mapping[str, Any]) -> None:
        try:
            source = (*body["source"]["namespace"], body["source"]["name"])
            target = (*body["destination"]["namespace"], body["destination"]["name"])
        except (KeyError, TypeError) as error:
            raise RestError(400, "BadRequestException", f"rename needs {error}") from error
        for name in (source, target):
            if len(name) != 2:
                raise RestError(400, "BadRequestException", "namespaces have one level")
            self._check_writable(*name)
        with _translated():
            self._catalog.rename_table(source, target)

    # -- Commits --

    def commit_table(self, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        commit = self._commit_of({**body, "identifier": {"namespace": [namespace], "name": name}})
        with _translated():
            [answer] = self._catalog.commit_tables([commit])
        return {"metadata-location": answer.metadata_location, "metadata": _metadata(answer.metadata)}

    def commit_transaction(self, body: Mapping[str, Any]) -> None:
        changes = body.get("table-changes")
        if not isinstance(changes, list) or not changes:
            raise RestError(400, "BadRequestException", "there are no table-changes")
        commits = [self._commit_of(change) for change in changes]
        names = [commit.identifier for commit in commits]
        if len(set(names)) != len(names):
            raise RestError(400, "BadRequestException", "a table is changed twice in one transaction")
        with _translated():
            self._catalog.commit_tables(commits)

    def _commit_of(self, body: Mapping[str, Any]) -> TableCommit:
        with _translated():
            asked = CommitTableRequest.model_validate(body)
        namespace = asked.identifier.namespace.root
        if len(namespace) != 1:
            raise RestError(400, "BadRequestException", "namespaces have one level")
        for update in asked.updates:
            if isinstance(update, SetLocationUpdate):
                self._check_inside(update.location)
            if namespace[0] in SINK_NAMESPACES and not _is_harmless(update):
                self._check_writable(namespace[0], asked.identifier.name)
        made = any(isinstance(each, AssertCreate) for each in asked.requirements)
        if not made and not self._catalog.table_exists((namespace[0], asked.identifier.name)):
            raise RestError(
                404, "NoSuchTableException", f"Table does not exist: {namespace[0]}.{asked.identifier.name}"
            )
        return TableCommit((namespace[0], asked.identifier.name), asked.requirements, asked.updates)

    # -- R1, R2 --

    def _check_writable(self, namespace: str, name: str) -> None:
        if namespace in SINK_NAMESPACES:
            raise RestError(
                403,
                "ForbiddenException",
                f"{namespace}.{name} is written by its sink; it can be read, tagged and branched",
            )

    def _check_inside(self, location: str) -> None:
        path = Path(local_path(location)).resolve()
        if not (location.startswith(("file:", "/")) and path.is_relative_to(self._catalog.folder)):
            raise RestError(400, "BadRequestException", f"{location} is outside the lake's folder")


def _is_harmless(update: TableUpdate) -> bool:
    if isinstance(update, SetSnapshotRefUpdate | RemoveSnapshotRefUpdate):
        return update.ref_name != "main"
    if isinstance(update, SetPropertiesUpdate):
        return not any(name.startswith(_RESERVED) for name in update.updates)
    if isinstance(update, RemovePropertiesUpdate):
        return not any(name.startswith(_RESERVED) for name in update.removals)
    return False


def _is_name(text: object) -> bool:
    return (
        isinstance(text, str)
        and bool(text)
        and text.isprintable()
        and not set(text) & set("/\\\x1f")
        and text not in (".", "..")
    )


def _loaded(table: Table) -> dict[str, Any]:
    return {
        "metadata-location": table.metadata_location,
        "metadata": _metadata(table.metadata),
        "config": {},
    }


def _metadata(metadata: TableMetadata) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(metadata.model_dump_json(by_alias=True, exclude_none=True))
    return plain
