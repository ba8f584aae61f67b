"""`penstock models`: versions and aliases; register, promote, roll back, compare."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import pyarrow.parquet as pq
import typer

from penstock.cli.application import AsJson, Data, Store, open_registry
from penstock.cli.output import print_json, print_table
from penstock.errors import UsageError
from penstock.models import baseline
from penstock.models.register import FORMATS, TrainingRows, register
from penstock.models.registry import CHAMPION, Version, split_name

app = typer.Typer(help="Versions of models, and the aliases that predictors use.", no_args_is_help=True)

Alias = Annotated[str, typer.Option(help="The alias to move.")]


@app.command("list")
def list_models(
    model: Annotated[str | None, typer.Argument(help="One model; all of them where it is not said.")] = None,
    data: Data = Path("data"),
    store: Store = None,
    json: AsJson = False,
) -> None:
    """List versions, with their aliases, formats, metrics and where they are from.

    Example: `penstock models list will_buy`
    """
    client, registry = open_registry(data, store)
    with client:
        names = [model] if model is not None else registry.models()
        found = {name: (registry.versions(name), registry.aliases(name)) for name in names}
    if json:
        print_json(
            {
                name: {"aliases": aliases, "versions": [_told(version) for version in versions]}
                for name, (versions, aliases) in found.items()
            }
        )
        return
    rows = [
        (
            version.name,
            " ".join(alias for alias, number in aliases.items() if number == version.number),
            version.format,
            ", ".join(f"{key} {value:.4g}" for key, value in version.metrics.items()),
            str(version.data.get("rows", "")),
            version.created_at[:19],
            version.created_by,
            version.note,
        )
        for versions, aliases in found.values()
        for version in versions
    ]
    if not rows and model is not None:
        raise UsageError(f"there is no model {model!r}; `penstock models list` lists what there is")
    if rows:
        print_table(("version", "alias", "format", "metrics", "rows", "made", "by", "note"), rows)
    else:
        print("there are no models yet; register one with `penstock models register`, or from Python")


def _told(version: Version) -> dict[str, Any]:
    return {
        name: getattr(version, name)
        for name in (
            "number", "format", "artifact", "columns", "classes", "threshold", "data", "metrics", "gate",
            "created_at", "created_by", "note",
        )
    }  # fmt: skip


@app.command("register")
def register_model(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    file: Annotated[
        Path, typer.Argument(help="The model: a pickle (sklearn, python), .onnx, or LightGBM's text.")
    ],
    rows: Annotated[
        Path, typer.Option(help="The training rows, one column per feature: Parquet or JSON lines.")
    ],
    format: Annotated[str, typer.Option(help=", ".join(FORMATS))] = "sklearn",
    label: Annotated[str | None, typer.Option(help="The column of the rows that is the label.")] = None,
    classes: Annotated[str | None, typer.Option(help="The classes of an ONNX or LightGBM model: 0,1")] = None,
    threshold: Annotated[float, typer.Option(min=0, max=1)] = 0.5,
    note: str = "",
    promote: Annotated[bool, typer.Option("--promote", help="Make it the champion at once.")] = False,
    data: Data = Path("data"),
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Register a version. Its fast form has to answer as the original does, or nothing is registered.

    A pickle runs code when it is read: take one only from somebody whom you would let run commands here.

    Example: `penstock models register will_buy model.pkl --rows rows.parquet --label label --promote`
    """
    found = _read_rows(rows)
    labels = [row.pop(label) for row in found] if label is not None else []
    training = TrainingRows(found, labels, {"file": str(rows)})
    content = file.read_bytes()
    loaded: Any = pickle.loads(content) if format in ("sklearn", "python") else content
    client, registry = open_registry(data, store)
    with client:
        version = register(
            registry,
            model,
            loaded,
            training,
            format=format,
            classes=_classes(classes),
            threshold=threshold,
            note=note,
        )
        if promote:
            registry.promote(model, version.number)
    if json:
        print_json(_told(version))
    else:
        print(f"{version.name} registered ({version.format})" + (" and champion" if promote else ""))


def _classes(text: str | None) -> list[int | str]:
    if text is None:
        return []
    return [int(each) if each.lstrip("-").isdigit() else each for each in text.split(",")]


def _read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        held: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return held
    return [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="NAME@NUMBER")],
    alias: Alias = CHAMPION,
    data: Data = Path("data"),
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Point an alias at a version. Running predictors follow within a second.

    Example: `penstock models promote will_buy@2`
    """
    model, chosen = split_name(version)
    if not chosen.isdigit():
        raise UsageError(f"{version}: promote a version by its number, such as {model}@3")
    client, registry = open_registry(data, store)
    with client:
        before = registry.promote(model, int(chosen), alias)
    if json:
        print_json({"model": model, "alias": alias, "number": int(chosen), "before": before})
        return
    was = "" if before is None else f" (was {before})"
    print(f"{model}@{alias} is {chosen}{was}")


@app.command()
def rollback(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    alias: Alias = CHAMPION,
    data: Data = Path("data"),
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Point an alias at the version before the one in use.

    Example: `penstock models rollback will_buy`
    """
    client, registry = open_registry(data, store)
    with client:
        number = registry.rollback(model, alias)
    if json:
        print_json({"model": model, "alias": alias, "number": number})
    else:
        print(f"{model}@{alias} is {number} again")


@app.command()
def compare(
    left: Annotated[str, typer.Argument(help="NAME@VERSION or NAME@ALIAS")],
    right: Annotated[str, typer.Argument(help="The other one.")],
    data: Data = Path("data"),
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Hold two versions side by side: data, metrics, and how their training sets differ.

    Example: `penstock models compare will_buy@1 will_buy@champion`
    """
    client, registry = open_registry(data, store)
    with client:
        versions = [registry.get(*split_name(each)) for each in (left, right)]
    told = compared(*versions)
    if json:
        print_json(told)
        return
    print_table(("", versions[0].name, versions[1].name), told["rows"])
    if told["drift"]:
        print()
        print_table(
            ("feature", "PSI between the training sets"), [(n, f"{v:.4f}") for n, v in told["drift"].items()]
        )


def compared(left: Version, right: Version) -> dict[str, Any]:
    rows = [
        (name, str(getattr(left, name)), str(getattr(right, name)))
        for name in ("format", "threshold", "created_at", "created_by", "note")
    ]
    for member in ("metrics", "data", "gate"):
        a, b = (dict(_flat(member, getattr(each, member))) for each in (left, right))
        rows += [(name, a.get(name, ""), b.get(name, "")) for name in dict.fromkeys([*a, *b])]
    shared = left.baseline.keys() & right.baseline.keys()
    drift = {
        name.lstrip("/"): baseline.psi(left.baseline[name], right.baseline[name])
        for name in sorted(shared)
        if _same_bounds(left.baseline[name], right.baseline[name])
    }
    return {"rows": rows, "drift": drift}


def _flat(name: str, held: Any) -> Iterator[tuple[str, str]]:
    """`data.positions.Purchases`, and its value as text."""
    if isinstance(held, dict):
        for key, each in held.items():
            yield from _flat(f"{name}.{key}", each)
    else:
        yield name, str(held)


def _same_bounds(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Counts over other edges do not compare."""
    return bool(a["kind"] == b["kind"] and a.get("edges") == b.get("edges") and a["kind"] == "number")
