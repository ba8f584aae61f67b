"""A predictor as an application declares it: a feature set, a model, and how a campaign finds its customers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.app.features import FeatureSet


@dataclass(frozen=True, eq=False)
class Predictor:
    """`model` is NAME@ALIAS or NAME@VERSION. `challenger` gets a share of entities, or is only logged (share 0)."""

    name: str
    features: FeatureSet
    model: str
    campaign_by: str | None = None  # A global index, sorted by the entity.
    threshold: float | None = None  # None: the threshold that the model was registered with.
    challenger: str | None = None
    challenger_share: float = 0.0
    monitor: Mapping[str, Any] | None = None
    prepare: Callable[[dict[str, Any]], dict[str, Any]] | None = None
