"""Positions and leases as items of the table `penstock_consumers`, each moved only by a conditional write.

    consumer   part                               attributes
    reload     consumer                           since_s, table, handled, retries
    reload     worker/<worker>                    beat, report
    reload     shard/<label>/<shard>              owner, epoch, factor, ended, tip_at_s
    reload     lane/<label>/<shard>/<factor>/<n>  fence, position

P1. A shard's epoch grows with each change of hands. `open_lanes` writes it as the fence of each lane before it reads the
    lane's position, so what is read is final: a position moves only where the fence is the mover's own.
P2. Lanes of another factor are other items: until the shard's item names the new factor, the old ones hold.
P3. Each call may be repeated after an error that leaves open whether it took place.
"""

from __future__ import annotations

from typing import Any

from penstock.connect.client import Client
from penstock.errors import ServiceError
from penstock.events.leases import Lease
from penstock.events.records import sequence_text
from penstock.events.system_tables import CONSUMERS

Values = dict[str, dict[str, Any]]

_FIRST_SHARD, _LAST_WORKER = "shard/", "worker0"  # "0" comes after "/".


class NotOurs(Exception):
    """A conditional write found another fence or epoch."""


class Positions:
    """One consumer's partition."""

    def __init__(self, client: Client, consumer: str) -> None:
        self._client, self._consumer = client, consumer

    def enrol(self, table: str, since_s: float) -> float:
        """Make the consumer known; returns since when it is."""
        try:
            self._update("consumer", "SET since_s = :s, #t = :t", "attribute_not_exists(since_s)",
                         {":s": {"N": f"{since_s:.6f}"}, ":t": {"S": table}}, {"#t": "table"})  # fmt: skip
        except NotOurs:
            item = self._get("consumer") or {}
            return float(item["since_s"]["N"])
        return since_s

    def since_s(self) -> float:
        """Since when the consumer is known; 0 where it is not."""
        item = self._get("consumer") or {}
        return float(item["since_s"]["N"]) if "since_s" in item else 0.0

    def beat(self, worker: str, beat: int, report: str) -> None:
        item = {"beat": {"N": str(beat)}, "report": {"S": report}}
        self._client.put_item(TableName=CONSUMERS, Item={**self._key(f"worker/{worker}"), **item})

    def drop_worker(self, worker: str) -> None:
        self._client.delete_item(TableName=CONSUMERS, Key=self._key(f"worker/{worker}"))

    def leave(self, worker: str, handled: int, retries: int) -> None:
        """Drop the worker and keep its numbers. They are for people to look at: an answer that is lost counts twice."""
        values: Values = {":h": {"N": str(handled)}, ":r": {"N": str(retries)}}
        self._update("consumer", "ADD handled :h, retries :r", "attribute_exists(part)", values)
        self.drop_worker(worker)

    def counted(self) -> tuple[int, int]:
        """Handled and retried by workers that have left."""
        item = self._get("consumer") or {}
        return tuple(int(item[name]["N"]) if name in item else 0 for name in ("handled", "retries"))  # type: ignore[return-value]

    def look(self) -> tuple[dict[str, int], dict[str, Lease], dict[str, str]]:
        """Workers' beats, shards' leases and workers' reports."""
        beats: dict[str, int] = {}
        leases: dict[str, Lease] = {}
        reports: dict[str, str] = {}
        for item in self._items(_FIRST_SHARD, _LAST_WORKER):
            kind, _, name = item["part"]["S"].partition("/")
            if kind == "worker":
                beats[name], reports[name] = int(item["beat"]["N"]), item["report"]["S"]
            elif kind == "shard":
                leases[name] = _lease(name, item)
        return beats, leases, reports

    def claim(self, shard: str, seen: Lease | None, worker: str, factor: int) -> Lease | None:
        """The lease under its next epoch, or None where somebody was quicker."""
        epoch = (seen.epoch if seen else 0) + 1
        values: Values = {
            ":w": {"S": worker},
            ":e": {"N": str(epoch)},
            ":f": {"N": str(factor)},
            ":n": {"BOOL": False},
        }
        condition = "attribute_not_exists(epoch)"
        if seen is not None:
            condition, values[":seen"] = "epoch = :seen", {"N": str(seen.epoch)}
        change = (
            "SET #o = :w, epoch = :e, factor = if_not_exists(factor, :f), ended = if_not_exists(ended, :n)"
        )
        try:
            item = self._update(f"shard/{shard}", change, condition, values, {"#o": "owner"})
        except NotOurs:
            return None
        return _lease(shard, item)

    def open_lanes(self, shard: str, epoch: int, factor: int) -> tuple[int, ...]:
        """Fence each lane and read its position (P1). Raises NotOurs where a later epoch's fence stands."""
        positions: list[int] = []
        for lane in range(factor):
            item = self._update(
                lane_part(shard, factor, lane),
                "SET fence = :e",
                "attribute_not_exists(fence) OR fence <= :e",
                {":e": {"N": str(epoch)}},
            )
            positions.append(int(item["position"]["S"]) if "position" in item else 0)
        return tuple(positions)

    def save(self, shard: str, epoch: int, factor: int, lane: int, position: int) -> None:
        self._update(
            lane_part(shard, factor, lane),
            "SET #p = :p",
            "fence = :e",
            {":p": {"S": sequence_text(position)}, ":e": {"N": str(epoch)}},
            {"#p": "position"},
        )

    def switch(self, shard: str, epoch: int, factor: int, position: int) -> None:
        """All lanes stand at `position`: write the new lanes there, then name them (P2), then drop the old ones."""
        for lane in range(factor):
            values: Values = {":e": {"N": str(epoch)}}
            change = "SET fence = :e"
            if position:
                change, values[":p"] = change + ", #p = :p", {"S": sequence_text(position)}
            names = {"#p": "position"} if position else {}
            condition = "attribute_not_exists(fence) OR fence <= :e"
            self._update(lane_part(shard, factor, lane), change, condition, values, names)
        values = {":f": {"N": str(factor)}, ":e": {"N": str(epoch)}}
        old = self._update_shard(shard, "SET factor = :f", values, returned="ALL_OLD")
        replaced = int(old["factor"]["N"])
        if replaced != factor:
            self._drop_lanes(shard, replaced)

    def note_tip(self, shard: str, epoch: int, tip_at_s: float) -> None:
        self._update_shard(
            shard, "SET tip_at_s = :t", {":t": {"N": f"{tip_at_s:.3f}"}, ":e": {"N": str(epoch)}}
        )

    def finish(self, shard: str, epoch: int) -> None:
        self._update_shard(
            shard, "SET ended = :y REMOVE #o", {":y": {"BOOL": True}, ":e": {"N": str(epoch)}}, "#o"
        )

    def release(self, shard: str, epoch: int) -> None:
        self._update_shard(shard, "REMOVE #o", {":e": {"N": str(epoch)}}, "#o")

    def forget(self, shard: str, factor: int) -> None:
        self._drop_lanes(shard, factor)
        self._client.delete_item(TableName=CONSUMERS, Key=self._key(f"shard/{shard}"))

    def positions_of(self, shard: str, factor: int) -> tuple[int, ...]:
        """As they are, without a fence: for people who look."""
        items = [self._get(lane_part(shard, factor, lane)) or {} for lane in range(factor)]
        return tuple(int(item["position"]["S"]) if "position" in item else 0 for item in items)

    def lane_key(self, shard: str, factor: int, lane: int) -> Values:
        return self._key(lane_part(shard, factor, lane))

    def _drop_lanes(self, shard: str, factor: int) -> None:
        for lane in range(factor):
            self._client.delete_item(TableName=CONSUMERS, Key=self.lane_key(shard, factor, lane))

    def _key(self, part: str) -> Values:
        return {"consumer": {"S": self._consumer}, "part": {"S": part}}

    def _get(self, part: str) -> Values | None:
        answer = self._client.get_item(TableName=CONSUMERS, Key=self._key(part), ConsistentRead=True)
        return answer.get("Item")

    def _items(self, low: str, high: str) -> list[Values]:
        found: list[Values] = []
        start: dict[str, Any] = {}
        while True:
            page = self._client.query(
                TableName=CONSUMERS,
                KeyConditionExpression="consumer = :c AND part BETWEEN :low AND :high",
                ExpressionAttributeValues={
                    ":c": {"S": self._consumer},
                    ":low": {"S": low},
                    ":high": {"S": high},
                },
                ConsistentRead=True,
                **start,
            )
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _update_shard(
        self, shard: str, change: str, values: Values, owner: str = "", returned: str = "ALL_NEW"
    ) -> Values:
        names = {owner: "owner"} if owner else {}
        return self._update(f"shard/{shard}", change, "epoch = :e", values, names, returned)

    def _update(
        self,
        part: str,
        change: str,
        condition: str,
        values: Values,
        names: dict[str, str] | None = None,
        returned: str = "ALL_NEW",
    ) -> Values:
        request: dict[str, Any] = {
            "TableName": CONSUMERS,
            "Key": self._key(part),
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ReturnValues": returned,
        }
        if names:
            request["ExpressionAttributeNames"] = names
        try:
            answer: dict[str, Any] = self._client.update_item(**request)
        except ServiceError as error:
            if error.code == "ConditionalCheckFailedException":
                raise NotOurs(part) from error
            raise
        item: Values = answer.get("Attributes", {})
        return item


def lane_part(shard: str, factor: int, lane: int) -> str:
    return f"lane/{shard}/{factor:02d}/{lane:02d}"


def _lease(shard: str, item: Values) -> Lease:
    return Lease(
        shard=shard,
        owner=item["owner"]["S"] if "owner" in item else "",
        epoch=int(item["epoch"]["N"]),
        factor=int(item["factor"]["N"]),
        ended=bool(item["ended"]["BOOL"]),
        tip_at_s=float(item["tip_at_s"]["N"]) if "tip_at_s" in item else 0.0,
    )


def consumer_names(client: Client) -> dict[str, str]:
    """Every consumer that the table knows, and the table that it follows."""
    found: dict[str, str] = {}
    start: dict[str, Any] = {}
    while True:
        page = client.scan(
            TableName=CONSUMERS,
            FilterExpression="part = :c",
            ExpressionAttributeValues={":c": {"S": "consumer"}},
            **start,
        )
        found |= {item["consumer"]["S"]: item["table"]["S"] for item in page["Items"]}
        if "LastEvaluatedKey" not in page:
            return dict(sorted(found.items()))
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
