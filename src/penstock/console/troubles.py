"""What is wrong, in words and with a way to where it can be looked at: judgements over what the parts tell of themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.console.rendering import ago
from penstock.events.consumer_status import ConsumerStatus
from penstock.features.instants import instant_of_text

BEHIND_S_MAX = 60.0


@dataclass(frozen=True)
class Trouble:
    says: str
    where: str  # A page of the console.
    link: str
    grave: bool = False


def of_lake(problem: str | None, flows: Sequence[Mapping[str, Any]], is_used: bool) -> Iterator[Trouble]:
    if problem is not None and is_used:
        yield Trouble(problem, "/lake", "Lake and SQL", grave=True)
    for flow in flows:
        name = flow["table"]
        if flow["state"] == "failed":
            said = f"{name} no longer flows into the lake: {flow['message']}"
            yield Trouble(said, "/lake", "Lake and SQL", grave=True)
        elif flow["behind_s"] is not None and flow["behind_s"] > BEHIND_S_MAX:
            yield Trouble(f"The lake is {flow['behind_s']:.0f} s behind {name}.", "/lake", "Lake and SQL")
        elif flow["message"] and flow["state"] == "waiting":
            yield Trouble(
                f"{name} waits on its way into the lake: {flow['message']}", "/lake", "Lake and SQL"
            )


def of_consumers(consumers: Sequence[ConsumerStatus]) -> Iterator[Trouble]:
    for each in consumers:
        if each.trouble:
            yield Trouble(f"{each.name}: {each.trouble}", "/streams", "Streams", grave=True)
        if not each.workers and each.lag_records:
            said = f"Nobody runs {each.name}, and {each.lag_records:,} changes of {each.table} wait for it."
            yield Trouble(said, "/streams", "Streams", grave=True)
        elif each.lag_s > BEHIND_S_MAX:
            yield Trouble(f"{each.name} is {each.lag_s:.0f} s behind {each.table}.", "/streams", "Streams")
        if each.dead_letters:
            kept = f"{each.dead_letters:,} change{'s' if each.dead_letters > 1 else ''}"
            yield Trouble(
                f"{each.name} could not handle {kept} of {each.table}.", "/streams#letters", "Dead letters"
            )


def of_predictors(predictors: Sequence[Mapping[str, Any]]) -> Iterator[Trouble]:
    for each in predictors:
        where, link = f"/predictors/{each['name']}", str(each["name"])
        if each["number"] is None:
            yield Trouble(
                f"{each['name']} cannot answer: nothing is promoted to {each['model']}.",
                where,
                link,
                grave=True,
            )
        if each["failed_lately"]:
            count = sum(each["failed_lately"].values())
            codes = ", ".join(sorted(each["failed_lately"]))
            requests = f"{count:,.0f} request{'' if count == 1 else 's'}"
            yield Trouble(
                f"{requests} to {each['name']} failed or {'was' if count == 1 else 'were'} refused lately: {codes}.",
                where,
                link,
            )


def of_tables(tables: Sequence[Mapping[str, Any]]) -> Iterator[Trouble]:
    for table in tables:
        if table["TableStatus"] not in ("ACTIVE", "UPDATING"):
            name = table["TableName"]
            yield Trouble(f"{name} is {table['TableStatus'].lower()}.", f"/tables/{name}/schema", name)


def of_alerts(alerts: Sequence[Mapping[str, str]], now_us: int) -> list[Trouble]:
    """Newest first, the latest of each measure: a monitor that runs every hour tells the same every hour."""
    found: dict[tuple[str, str], Trouble] = {}
    for alert in alerts:
        name = alert["predictor"]
        at, _, measure = alert["at"].partition("#")
        when = ago(instant_of_text(at) or now_us, now_us)
        said = f"{name}: {alert['message']} (monitor, {when})."
        found.setdefault((name, measure), Trouble(said, f"/predictors/{name}/monitor", "Monitor"))
    return list(found.values())
