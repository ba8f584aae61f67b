"""Which tables the console takes to be in the lake."""

from __future__ import annotations

from typing import Any

import penstock
from penstock.console.tables import in_lake


def _app() -> penstock.App:
    app = penstock.App("shop")
    app.table("Sessions", partition_key="id")
    app.table("Orders", partition_key="id", stream=True)
    app.table("Returns", partition_key="id", stream=True)
    return app


def _described(name: str, stream: bool = True) -> dict[str, Any]:
    return {"TableName": name, **({"StreamSpecification": {"StreamEnabled": True}} if stream else {})}


# Why: the README's application chooses no tables, and the console said of each that the lake does not follow it.
def test_without_a_choice_every_stream_is_in_the_lake() -> None:
    app = _app()
    assert app.followed() == ["Orders", "Returns"]
    assert in_lake(app, _described("Orders"))
    assert in_lake(app, _described("made by any client"))
    assert not in_lake(app, _described("Sessions", stream=False))
    assert not in_lake(app, _described("penstock_models"))


# Why: a choice is a choice; only the log of the answers comes along.
def test_a_choice_of_tables_is_all_but_for_the_log() -> None:
    app = _app()
    app.lake(app.tables["Returns"])
    assert app.followed() == ["Returns"]
    assert in_lake(app, _described("Returns"))
    assert not in_lake(app, _described("Orders"))
    assert not in_lake(app, _described("InferenceMetadata"))
    buyer = app.features(
        "buyer", source=app.tables["Orders"], entity="id", time="at", features={"n": penstock.count(days=1)}
    )
    app.predictor("p", features=buyer, model="m@champion")
    assert in_lake(app, _described("InferenceMetadata"))
