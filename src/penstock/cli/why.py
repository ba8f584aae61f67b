"""`penstock why`: the chain behind an answer, from events to features to model to prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.app.plain import from_item
from penstock.cli.application import AppFile, AsJson, Data, Store, open_application
from penstock.cli.output import print_json, print_table
from penstock.serving.replay import Chain, Inferences


def run(
    request_id: Annotated[str, typer.Argument(help="The requestId of an answer.")],
    app: AppFile = None,
    data: Data = Path("data"),
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Show where an answer comes from: events with their positions, features, model version, answer, and the SQL that finds them.

    Example: `penstock why 7f0c…`
    """
    with open_application(app, data, store) as opened:
        lake = opened.lake()
        chain = Inferences(opened.app, opened.client, opened.registry, lake).why(request_id)
    if json:
        print_json({name: held for name, held in chain.__dict__.items() if name != "row"})
    else:
        _show(request_id, chain)


def _show(request_id: str, chain: Chain) -> None:
    row = {name: next(iter(value.values())) for name, value in chain.row.items()}
    print(f"{request_id}, {row['timestamp']}, predictor {row['predictor']}\n")
    if "entity" in row:
        events = f"{len(chain.events)} event{'' if len(chain.events) == 1 else 's'}"
        print(f"1 · {events} of {row['entityType']} {row['entity']} in the windows, as known then")
        print_table(
            ("position", "table", "event"),
            [
                (
                    each["position"],
                    each["table"],
                    ", ".join(f"{n}={v}" for n, v in from_item(each["item"]).items()),
                )
                for each in chain.events[-20:]
            ],
        )
        if len(chain.events) > 20:
            print(f"… and {len(chain.events) - 20} before them")
    else:
        print("1 · the features came with the request")
    print("\n2 · features")
    parts = chain.model["contributions"]
    if parts:
        print_table(
            ("feature", "value", "adds to the sum"),
            [
                (name, str(value), f"{parts[name]:+.4f}" if name in parts else "")
                for name, value in chain.features.items()
            ],
        )
    else:  # Not a linear model.
        print_table(("feature", "value"), [(name, str(value)) for name, value in chain.features.items()])
    print(
        f"\n3 · model {chain.model['name']} ({chain.model['format']}), made {chain.model['createdAt'][:19]}"
    )
    print("    from " + ", ".join(f"{name} {_told(held)}" for name, held in chain.model["data"].items()))
    sure = chain.answer["probability"]
    print(f"\n4 · {chain.answer['prediction']}" + ("" if sure is None else f", probability {sure}"))
    for text in chain.sql:
        print("\nin the lake:\n" + text)


def _told(held: object) -> str:
    """A figure of the training set; a position for each stream."""
    return ", ".join(f"{of} {each}" for of, each in held.items()) if isinstance(held, dict) else str(held)
