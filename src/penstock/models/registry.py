"""The registry: versions of models and the aliases that point at them, in the table `penstock_models`.

    model  entry             what the item is
    NAME   version#000003    one version: format, artifact, signature, from which data, metrics, gate, who, when
    NAME   alias#champion    the version in use, and those before it, newest first, for a rollback
    NAME   event#…           who moved which alias when, from what to what
    NAME   next              the last version number given

R1. A version is written once (its condition says so) and after its artifact is durable; a number is never used again.
R2. Promote and rollback are one transaction: the alias moves from what the caller saw, and the event tells of it.
R3. Small artifacts lie in the item itself, so a registry on AWS needs no shared disk for linear models; larger ones are files
    under their hash (artifacts.py).
"""

from __future__ import annotations

import getpass
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from penstock.app.access import Client
from penstock.errors import ServiceError, UsageError
from penstock.features.instants import text_of
from penstock.models.artifacts import ArtifactFolder, checked, hash_of

TABLE = "penstock_models"
CHAMPION, CHALLENGER = "champion", "challenger"
INLINE_BYTES_MAX = 256 * 1024  # An item has 400 KB; the rest is for signature, baseline and metrics.
HISTORY_MAX = 50
DEFINITION: dict[str, Any] = {
    "TableName": TABLE,
    "AttributeDefinitions": [
        {"AttributeName": "model", "AttributeType": "S"},
        {"AttributeName": "entry", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "model", "KeyType": "HASH"},
        {"AttributeName": "entry", "KeyType": "RANGE"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}


@dataclass(frozen=True)
class Version:
    """One version as it stands in the registry."""

    model: str
    number: int
    format: str  # linear, onnx, lightgbm, python
    artifact: str  # The hash of its bytes.
    columns: list[dict[str, Any]]
    classes: list[Any]
    threshold: float = 0.5
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    gate: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(
        default_factory=dict
    )  # How features and predictions were spread in training.
    created_at: str = ""
    created_by: str = ""
    note: str = ""
    content: bytes | None = None

    @property
    def name(self) -> str:
        return f"{self.model}@{self.number}"


def entry_of(number: int) -> str:
    return f"version#{number:06d}"


def item_of(version: Version) -> dict[str, Any]:
    item: dict[str, Any] = {
        "model": {"S": version.model},
        "entry": {"S": entry_of(version.number)},
        "version": {"N": str(version.number)},
        "format": {"S": version.format},
        "artifact": {"S": version.artifact},
        "threshold": {"S": repr(version.threshold)},
        "createdAt": {"S": version.created_at},
        "createdBy": {"S": version.created_by},
        "note": {"S": version.note},
    }
    for name in ("columns", "classes", "data", "metrics", "gate", "baseline"):
        item[name] = {"S": orjson.dumps(getattr(version, name)).decode()}
    if version.content is not None:
        item["content"] = {"B": version.content}
    return item


def version_of(item: Mapping[str, Any]) -> Version:
    held = item.get("content", {}).get("B")
    return Version(
        model=item["model"]["S"],
        number=int(item["version"]["N"]),
        format=item["format"]["S"],
        artifact=item["artifact"]["S"],
        threshold=float(item["threshold"]["S"]),
        created_at=item["createdAt"]["S"],
        created_by=item["createdBy"]["S"],
        note=item["note"]["S"],
        content=b64decode(held) if isinstance(held, str) else held,
        **{n: orjson.loads(item[n]["S"]) for n in ("columns", "classes", "data", "metrics", "gate", "baseline")},
    )  # fmt: skip


def split_name(text: str) -> tuple[str, str]:
    """`will_buy@champion` → model and alias or number; the champion where nothing is said."""
    model, _, chosen = text.partition("@")
    if not model:
        raise UsageError(f"{text!r} names no model; write NAME@ALIAS or NAME@VERSION")
    return model, chosen or CHAMPION


def lookup(model: str, chosen: str) -> dict[str, Any]:
    """The GetItem that finds an alias or a version."""
    entry = entry_of(int(chosen)) if chosen.isdigit() else f"alias#{chosen}"
    return {
        "TableName": TABLE,
        "Key": {"model": {"S": model}, "entry": {"S": entry}},
        "ConsistentRead": True,
    }


class ModelMissing(UsageError):
    """No such model, version or alias."""


class Registry:
    """The registry over a blocking client."""

    def __init__(
        self,
        client: Client,
        artifacts: ArtifactFolder | None = None,
        *,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        user: Callable[[], str] = getpass.getuser,
    ) -> None:
        self.client, self.artifacts = client, artifacts
        self._now_us, self._user = now_us, user

    def create_table(self) -> None:
        try:
            self.client.create_table(**DEFINITION)
        except ServiceError as error:
            if error.code != "ResourceInUseException":
                raise

    def add(self, version: Version, content: bytes) -> Version:
        """A new version; its number is chosen here. `version.number` is ignored."""
        self.create_table()
        inline = len(content) <= INLINE_BYTES_MAX
        if not inline:
            if self.artifacts is None:
                raise UsageError(
                    f"the model has {len(content)} bytes, which need a folder for model files; give artifacts="
                )
            self.artifacts.put(content)
        answer = self.client.update_item(
            TableName=TABLE,
            Key={"model": {"S": version.model}, "entry": {"S": "next"}},
            UpdateExpression="ADD lastNumber :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
            ReturnValues="UPDATED_NEW",
        )
        members = {
            **version.__dict__,
            "number": int(answer["Attributes"]["lastNumber"]["N"]),
            "artifact": hash_of(content),
            "content": content if inline else None,
            "created_at": version.created_at or text_of(self._now_us()),
            "created_by": version.created_by or self._user(),
        }
        added = Version(**members)
        self.client.put_item(
            TableName=TABLE, Item=item_of(added), ConditionExpression="attribute_not_exists(entry)"
        )
        return added

    def content(self, version: Version) -> bytes:
        return read_content(version, self.artifacts)

    def get(self, model: str, chosen: str = CHAMPION) -> Version:
        """By number or alias."""
        number = int(chosen) if chosen.isdigit() else self.alias(model, chosen)
        answer = self._ask(lookup(model, str(number))) if number is not None else {}
        if "Item" not in answer:
            raise missing(model, chosen)
        return version_of(answer["Item"])

    def alias(self, model: str, alias: str) -> int | None:
        answer = self._ask(lookup(model, alias))
        return int(answer["Item"]["version"]["N"]) if "Item" in answer else None

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self.client.get_item(**request)
        except ServiceError as error:
            if error.code == "ResourceNotFoundException":
                return {}
            raise

    def versions(self, model: str) -> list[Version]:
        return [version_of(item) for item in self._entries(model, "version#")]

    def aliases(self, model: str) -> dict[str, int]:
        return {
            item["entry"]["S"].removeprefix("alias#"): int(item["version"]["N"])
            for item in self._entries(model, "alias#")
        }

    def events(self, model: str) -> list[dict[str, str]]:
        """Who moved which alias when, oldest first."""
        shown = ("at", "by", "alias", "from", "to", "action")
        return [{n: str(item[n]["S"]) for n in shown if n in item} for item in self._entries(model, "event#")]

    def models(self) -> list[str]:
        """Every model's name. The registry is small: this scans it."""
        names: set[str] = set()
        request: dict[str, Any] = {
            "TableName": TABLE,
            "ProjectionExpression": "#m",
            "ExpressionAttributeNames": {"#m": "model"},
        }
        while True:
            try:
                page = self.client.scan(**request)
            except ServiceError as error:
                if error.code == "ResourceNotFoundException":
                    return []
                raise
            names |= {item["model"]["S"] for item in page["Items"]}
            if "LastEvaluatedKey" not in page:
                return sorted(names)
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _entries(self, model: str, prefix: str) -> Iterator[dict[str, Any]]:
        request: dict[str, Any] = {
            "TableName": TABLE,
            "KeyConditionExpression": "#m = :m AND begins_with(#e, :e)",
            "ExpressionAttributeNames": {"#m": "model", "#e": "entry"},
            "ExpressionAttributeValues": {":m": {"S": model}, ":e": {"S": prefix}},
            "ConsistentRead": True,
        }
        while True:
            try:
                page = self.client.query(**request)
            except ServiceError as error:
                if error.code == "ResourceNotFoundException":
                    return
                raise
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    # -- Moving aliases --

    def promote(self, model: str, number: int, alias: str = CHAMPION) -> int | None:
        """Point the alias at a version; the version that it pointed at before."""
        if not alias or alias.isdigit():
            raise UsageError(f"{alias!r} is no alias: {model}@{alias} would mean a version")
        self.get(model, str(number))
        before, history = self._history(model, alias)
        if before == number:
            return before
        past = ([before] if before is not None else []) + history
        self._move(model, alias, number, before, past[:HISTORY_MAX], "promote")
        return before

    def rollback(self, model: str, alias: str = CHAMPION) -> int:
        """Point the alias at the version before the one in use, which it names."""
        before, history = self._history(model, alias)
        if before is None or not history:
            raise UsageError(f"{model}@{alias} has no earlier version to go back to")
        self._move(model, alias, history[0], before, history[1:], "rollback")
        return history[0]

    def _history(self, model: str, alias: str) -> tuple[int | None, list[int]]:
        item = self._ask(lookup(model, alias)).get("Item")
        if item is None:
            return None, []
        return int(item["version"]["N"]), [int(each["N"]) for each in item["history"]["L"]]

    def _move(
        self, model: str, alias: str, to: int, before: int | None, history: list[int], action: str
    ) -> None:
        at = text_of(self._now_us())
        moved: dict[str, Any] = {
            "TableName": TABLE,
            "Item": {
                "model": {"S": model},
                "entry": {"S": f"alias#{alias}"},
                "version": {"N": str(to)},
                "history": {"L": [{"N": str(number)} for number in history]},
                "movedAt": {"S": at},
            },
        }
        if before is None:
            moved["ConditionExpression"] = "attribute_not_exists(entry)"
        else:
            moved |= {
                "ConditionExpression": "version = :before",
                "ExpressionAttributeValues": {":before": {"N": str(before)}},
            }
        told = {
            "model": {"S": model},
            "entry": {"S": f"event#{at}#{alias}"},
            "at": {"S": at},
            "by": {"S": self._user()},
            "alias": {"S": alias},
            "action": {"S": action},
            "to": {"S": str(to)},
            "from": {"S": "" if before is None else str(before)},
        }
        try:
            self.client.transact_write_items(
                TransactItems=[
                    {"Put": moved},
                    {
                        "Put": {
                            "TableName": TABLE,
                            "Item": told,
                            "ConditionExpression": "attribute_not_exists(entry)",
                        }
                    },
                ]
            )
        except ServiceError as error:
            if error.code == "TransactionCanceledException":
                raise UsageError(
                    f"{model}@{alias} was moved by somebody else in this moment; look again"
                ) from error
            raise


def read_content(version: Version, artifacts: ArtifactFolder | None) -> bytes:
    if version.content is not None:
        return checked(version.artifact, version.content)
    if artifacts is None:
        raise UsageError(f"{version.name} is a file; give the folder of model files")
    return artifacts.get(version.artifact)


def missing(model: str, chosen: str) -> ModelMissing:
    kind = "version" if chosen.isdigit() else "alias"
    return ModelMissing(
        f"model {model!r} has no {kind} {chosen!r}; see `penstock models list {model}`, and register and promote one"
    )
