"""What the page says of an inference that was computed again."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from penstock.serving.replay import Replay


def shown(replay: Replay) -> str:
    pages = Environment(loader=PackageLoader("penstock.console"), undefined=StrictUndefined, autoescape=True)
    names: dict[str, Any] = {"icon": lambda name: "", "problem": None, "replay": replay}
    return pages.get_template("replay.html").render(names)


# Why: the console runs no Python model. It said "the same, bit for bit" of a prediction that nobody had computed again.
def test_a_prediction_that_was_not_computed_again_is_not_called_the_same() -> None:
    note = "rule@1 is a python model, whose code is not run here"
    page = shown(Replay("r1", {"features": {}, "prediction": 1}, {"features": {}}, notes=[note]))
    assert "The same features, bit for bit" in page
    assert "The prediction was not computed again" in page
    assert note in page


# Why: the other half: what was computed again is told, and a model without a probability has none.
def test_a_prediction_that_came_out_the_same_is_told() -> None:
    page = shown(Replay("r1", {}, {"prediction": 3.5, "probability": None}))
    assert "The same, bit for bit" in page
    assert "prediction 3.5" in page
    assert "probability" not in page
