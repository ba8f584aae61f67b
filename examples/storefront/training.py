"""Training `will_buy`: the features as predictions see them, at moments of the past, and whether the customer bought after.

The rows come through the same definition and the same code as a prediction's, asked about an earlier instant. So nothing
can be known to the model in training that it will not know when it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import penstock
from penstock.features.definition import compile_set
from penstock.features.instants import instant_of_text
from penstock.features.online import Reader, entity_value, features_of
from penstock.models.register import TrainingRows, register
from penstock.models.registry import Registry

AHEAD = timedelta(days=7)  # What is predicted: a purchase within the next seven days.


def first_model(ctx: Any, purchases: Any, buyer: Any, customers: Iterable[str], opened: datetime) -> Any:
    """Train on these customers, register, promote. The version, with how well it ranks customers that it has not seen."""
    training = training_rows(ctx, purchases, buyer, customers, opened)
    rows, labels = training.matrix(), training.labels
    estimator = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    estimator.fit(rows[::2], labels[::2])
    ranking = roc_auc_score(labels[1::2], estimator.predict_proba(rows[1::2])[:, 1])
    estimator.fit(rows, labels)
    registry = Registry(ctx.client)
    version = register(registry, "will_buy", estimator, training, metrics={"auc": round(float(ranking), 4)})
    registry.promote("will_buy", version.number)
    return version


def training_rows(
    ctx: Any, purchases: Any, buyer: Any, customers: Iterable[str], opened: datetime
) -> TrainingRows:
    """One row for each customer, at a moment between three and seven weeks before the shop opened here."""
    reader = Reader(compile_set(buyer))
    rows, labels = [], []
    for place, customer in enumerate(customers):
        at = (opened - AHEAD - timedelta(days=14 + place % 28)).astimezone(UTC)
        instant = instant_of_text(at.isoformat())
        assert instant is not None
        values, _ = features_of(ctx.client.query, reader, entity_value(reader.plan, customer), instant, {})
        rows.append(values)
        after = penstock.between(at, at + AHEAD)
        bought = purchases.query(customer_id=customer, purchased_at=after, index="by_time", limit=1)
        labels.append(int(next(bought, None) is not None))
    return TrainingRows(rows, labels, {"features": buyer.name, "opened": opened.isoformat()})
