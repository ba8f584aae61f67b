"""`penstock predict`: one entity at the terminal, or a campaign into a file."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from penstock.cli.application import AppFile, AsJson, Data, Opened, Store, open_application
from penstock.cli.output import print_json, print_table
from penstock.errors import UsageError
from penstock.features.definition import (
    Plan,
    assemble,
    compile_set,
    request_values,
    transform,
    unknown_values,
)
from penstock.features.instants import DAY_US, instant_of_text
from penstock.features.online import Reader, entity_value, read
from penstock.features.tile_reach import soon_reach
from penstock.models.prediction import decide
from penstock.models.registry import split_name
from penstock.models.runtime import load_model
from penstock.serving import bulk

STOPPED = 130


def run(
    context: typer.Context,
    predictor: Annotated[str, typer.Argument(help="A predictor that the application declares.")],
    entity: Annotated[
        str | None, typer.Argument(help="Predict this one and show what it comes from.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="A campaign: ATTRIBUTE=VALUE of its index, such as category=jewelry.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="Short for --by category=VALUE.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where a campaign goes: a Parquet file.")] = None,
    value: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER that a feature requests; may be repeated.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="A moment (UTC), 2026-11-28T10:00:00Z, or a day, as it ended; now where it is not said."
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Requests in flight: 8, or 1 where the tables are in this process.", min=1, max=256
        ),
    ] = None,
    app: AppFile = None,
    data: Data = Path("data"),
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Predict one entity, or a whole campaign into a file that a stop does not spoil.

    Examples: `penstock predict will_buy c1` · `penstock predict will_buy --category jewelry --out jewelry.parquet`
    """
    given = _given(value or [])
    at_us = time.time_ns() // 1000 if as_of is None else _moment(as_of)
    chosen = f"category={category}" if category is not None else by
    if (entity is None) == (chosen is None):
        raise UsageError("name an entity, or a campaign with --by ATTRIBUTE=VALUE (or --category VALUE)")
    with open_application(app, data, store) as opened:
        if predictor not in opened.app.predictors:
            known = ", ".join(opened.app.predictors) or "none"
            raise UsageError(f"the application declares no predictor {predictor!r}; it declares {known}")
        plan = compile_set(opened.app.predictors[predictor].features)
        if unknown := unknown_values(plan, given):
            raise UsageError(f"{predictor} takes no {', '.join(unknown)}")
        if entity is not None:
            _one(opened, predictor, plan, entity, at_us, given, json)
            return
        if out is None:
            raise UsageError("a campaign goes into a file: add --out FILE.parquet")
        assert chosen is not None
        work = _bulk(opened, predictor, chosen, threads)
        _campaign(work, chosen, out, at_us, as_of, given, json)


def _moment(text: str) -> int:
    """A day stands for its last microsecond: all of its events, and of day tiles whole days alone."""
    found = instant_of_text(text)
    if found is None:
        raise UsageError(f"--as-of {text}: write a day, 2026-11-28, or a moment, 2026-11-28T10:00:00Z")
    return found + DAY_US - 1 if "T" not in text else found


def _given(texts: list[str]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise UsageError(f"--value {text}: write NAME=NUMBER") from None
        if not equals:
            raise UsageError(f"--value {text}: write NAME=NUMBER")
    return found


def _one(
    opened: Opened,
    name: str,
    plan: Plan,
    entity: str,
    at_us: int,
    given: dict[str, float | None],
    json: bool,
) -> None:
    declared = opened.app.predictors[name]
    version = opened.registry.get(*split_name(declared.model))
    model = load_model(version, opened.registry.content(version))
    observed = read(opened.client.query, Reader(plan), entity_value(plan, entity), at_us)
    values = transform(plan, assemble(plan, observed.measured, request_values(plan, given)))
    threshold = version.threshold if declared.threshold is None else declared.threshold
    found = decide(model.score_one(model.signature.vector(values)), model.classes, threshold)
    if json:
        print_json(
            {
                "prediction": found.label,
                "probability": found.probability,
                "features": values,
                "modelVersion": str(version.number),
                "eventsRead": observed.events,
                "logged": False,
            }
        )
        return
    sure = "" if found.probability is None else f" ({found.probability:.1%})"
    print(f"{name} of {plan.entity_name} {entity}: {found.label}{sure}, by {version.name}")
    if not observed.events:
        print("no events were found: this is what the model says of an empty history")
    print_table(("feature", "value"), [(feature, str(value)) for feature, value in values.items()])
    print("tried here, so not in the log; GET /predict logs what it answers")


def _bulk(opened: Opened, name: str, chosen: str, threads: int | None) -> bulk.Bulk:
    attribute, equals, _ = chosen.partition("=")
    declared = opened.app.predictors[name]
    version = opened.registry.get(*split_name(declared.model))
    model = load_model(version, opened.registry.content(version))

    def tiles_reach(plan: Plan, until_s: float) -> bool:
        return not opened.is_remote and soon_reach(opened.client, plan, until_s, time.sleep)

    # Whole rows cost less than projected ones where the tables are on this machine.
    work = bulk.Bulk(
        declared,
        opened.client,
        version,
        model,
        threads=threads,
        project=opened.is_remote,
        tiles_reach=tiles_reach,
    )
    if not equals or attribute != work.walk.by:
        raise UsageError(f"campaigns of {name} go by {work.walk.by}: --by {work.walk.by}=VALUE")
    return work


def _campaign(
    work: bulk.Bulk,
    chosen: str,
    out: Path,
    at_us: int,
    as_of: str | None,
    given: dict[str, float | None],
    json: bool,
) -> None:
    value, version = chosen.partition("=")[2], work.version
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    before = signal.signal(signal.SIGINT, stop)
    try:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("reading the index", total=None)

            def watch(at: bulk.Progress) -> None:
                text = f"{at.done:,} {work.plan.entity_name}s · {at.rate:,.0f}/s · at {at.entity}"
                progress.update(task, description=text)

            done = work.run(
                value, out, at_us=at_us, as_of=as_of, given=given, watch=watch, stop=lambda: stopped
            )
    finally:
        signal.signal(signal.SIGINT, before)
        work.close()
    if done is None:
        print(f"stopped; the same command goes on from there ({out}.parts)")
        raise typer.Exit(STOPPED)
    if json:
        print_json({"rows": done, "file": str(out), "modelVersion": str(version.number)})
    else:
        print(f"{done:,} prediction{'' if done == 1 else 's'} by {version.name} in {out}")
