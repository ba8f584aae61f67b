"""`penstock monitor`: is the model still right? Drift, skew, latency and live accuracy of a predictor."""

from __future__ import annotations

import sys
import time
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from penstock.app.application import seconds
from penstock.cli.application import AppFile, AsJson, Data, Store, find_application, open_application
from penstock.cli.output import duration, print_json, print_table
from penstock.errors import UsageError
from penstock.run.state import read_picture
from penstock.serving.monitor import ROWS_MAX, Monitor, Report, errors_of, labels_of

ALERTED = 1
METRICS_S = 5.0
AGES = ("newest_days", "median_days", "p90_days")
DAY_S = 86_400


def run(
    predictor: Annotated[str, typer.Argument(help="A predictor that the application declares.")],
    since: Annotated[str, typer.Option(help="How far back: 30m, 24h, 7d.")] = "24h",
    labels: Annotated[
        Path | None,
        typer.Option(
            help="What came true, with label and requestId (or entity): JSON lines, or a query of the lake (.sql). "
            "labels/PREDICTOR.sql beside the application where it is not said."
        ),
    ] = None,
    skew_rows: Annotated[int, typer.Option(help="So many of the latest are recomputed.", min=0)] = 100,
    rows_max: Annotated[
        int, typer.Option(help="So many of the latest predictions are read; all are counted.", min=1)
    ] = ROWS_MAX,
    keep: Annotated[bool, typer.Option(help="Keep alerts in the table penstock_alerts.")] = True,
    webhook: Annotated[str | None, typer.Option(help="Alerts are posted here as JSON.")] = None,
    app: AppFile = None,
    data: Data = Path("data"),
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Hold the log of a while against training, history and labels. Exit code 1 where a bound is passed.

    Example: `penstock monitor will_buy --since 24h --webhook https://example.com/hook`
    """
    to_us = time.time_ns() // 1000
    from_us = to_us - int(seconds(since) * 1_000_000)
    with open_application(app, data, store) as opened:
        lake = opened.lake()
        monitor = Monitor(
            opened.app, opened.client, opened.registry, lake=lake, webhook=webhook, run_python=True
        )
        labels = labels or _declared_labels(find_application(app, data, Path.cwd()), predictor, lake)
        report = monitor.report(
            predictor,
            from_us,
            to_us,
            labels=read_labels(labels, lake),
            skew_rows=skew_rows,
            errors=errors_of(_metrics(data), predictor),
            rows_max=rows_max,
        )
        if keep:
            monitor.keep(report, shown=not json and sys.stdout.isatty() and sys.stderr.isatty())
    if json:
        print_json(report.as_json())
    else:
        _show(report)
    if report.alerts:
        raise typer.Exit(ALERTED)


def _metrics(data: Path) -> str:
    """What the running application counts; nothing where none runs on this data directory."""
    picture = read_picture(data)
    places = [each.addresses.get("app") for each in picture.processes] if picture is not None else []
    url = next((each for each in places if each), None)
    if url is None:
        return ""
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=METRICS_S) as answer:
            return bytes(answer.read()).decode()
    except OSError:
        return ""  # It was stopped, and left its picture behind.


def _declared_labels(app_file: Path, predictor: str, lake: Any) -> Path | None:
    """A query that belongs to the application, and needs a lake to be asked of."""
    query = app_file.parent / "labels" / f"{predictor}.sql"
    return query if lake is not None and query.is_file() else None


def read_labels(path: Path | None, lake: Any) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the labels cannot be read: {error}") from error
    if path.suffix == ".sql":
        if lake is None:
            raise UsageError(f"{path} is a query of the lake, and there is none in the data directory")
        return labels_of(lake, content.decode())
    found: dict[str, Any] = {}
    for number, text in enumerate(content.splitlines(), 1):
        if text.strip():
            key, label = _label(f"{path}, line {number}", text)
            found[key] = label
    return {key: label for key, label in found.items() if label is not None}


def _label(place: str, text: bytes) -> tuple[str, Any]:
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{place} is no JSON: {error}") from error
    key = line.get("requestId", line.get("entity")) if isinstance(line, dict) else None
    if key is None or "label" not in line:
        raise UsageError(f"{place} has to have requestId (or entity) and label")
    return str(key), line["label"]


def _told(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_figure(value)}" for name, value in figures.items())


def _figure(value: Any) -> str:
    return (
        f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in counts.items())


def _summary(told: dict[str, Any]) -> dict[str, str]:
    """A line for each part of the report that is figures and no table."""
    errors, skew = told["errors"], told["skew"]
    live = {name: value for name, value in told["live"].items() if name != "calibration"}
    lines = {name.replace("_", " "): _counted(told[name]) for name in ("by_version", "by_prediction")}
    lines["errors"] = f"{_counted(errors['by_code'])}, {errors['rate']:.2%} ours" if errors else ""
    lines["latency ms"] = _told(told["latency_ms"])
    lines["skew"] = f"{skew['differing']:,} of {skew['rows']:,} recomputed differ" if skew else ""
    if skew and skew["requestIds"]:
        lines["skew"] += f", such as {', '.join(skew['requestIds'])}: {'; '.join(skew['examples'])}"
    return {**lines, "live": _told(live)}


def _show(report: Report) -> None:
    told = report.as_json()
    print(f"{report.predictor}: {report.rows:,} predictions from {told['from'][:19]} to {told['to'][:19]}")
    if report.read < report.rows:
        print(f"  of the latest {report.read:,}:")
    for name, text in _summary(told).items():
        if text:
            print(f"  {name}: {text}")
    print_table(
        ("feature", "PSI", "KS", "nulls", "nulls in training"),
        [
            (
                name.lstrip("/"),
                f"{each['psi']:.3f}",
                f"{each['ks']:.3f}",
                f"{each['null_rate']:.1%}",
                f"{each['null_rate_trained']:.1%}",
            )
            for name, each in report.drift.items()
        ],
    )
    if report.staleness:
        print()
        print_table(
            ("latest event", "newest", "median", "9 of 10", "without"),
            [
                (
                    name,
                    *("" if (days := ages[each]) is None else duration(days * DAY_S) for each in AGES),
                    f"{ages['without']:,.0f}",
                )
                for name, ages in report.staleness.items()
            ],
        )
    if bins := report.live.get("calibration"):
        print()
        print_table(
            ("predicted", "came true", "rows"),
            [(f"{each['predicted']:.1%}", f"{each['came_true']:.1%}", f"{each['rows']:,}") for each in bins],
        )
    for alert in report.alerts:
        print(f"ALERT {alert.message}")
    if not report.alerts:
        print("nothing is above its bound")
