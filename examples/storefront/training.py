"""Training `will_buy`: features as they were known at moments of the past, and whether the customer bought in the week after."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penstock import ahead, count
from penstock.models.register import TrainingRows


def train(
    app: Any, ctx: Any, customers: Iterable[str], opened: datetime, *, lake: Any = None
) -> tuple[str, float]:
    """Train on these customers, register, promote. Without a lake, the change stream tells what was known when."""
    # One moment for each customer, from two to six weeks before the shop was opened here: the week after is known.
    spine = [
        {"customer_id": customer, "at": opened - timedelta(days=14 + place % 28)}
        for place, customer in enumerate(customers)
    ]
    known = app.training_set(
        app.feature_sets["buyer"],
        spine,
        label=ahead(count(days=7)),
        history=lake,
        backfilled=datetime.now(UTC),  # The history was loaded today and happened before.
    )
    ranks = ranking(known.rows, known.labels)
    version = ctx.learn(
        "will_buy", model(), known.rows, known.labels, data=known.data, metrics={"auc": ranks}
    )
    return version, ranks


def model() -> Any:
    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())


def ranking(rows: list[Any], labels: list[Any]) -> float:
    """How often a model of one half ranks a buyer of the other half above one who did not buy."""
    matrix = TrainingRows(rows, labels).matrix()
    fitted = model().fit(matrix[::2], labels[::2])
    return round(float(roc_auc_score(labels[1::2], fitted.predict_proba(matrix[1::2])[:, 1])), 4)
