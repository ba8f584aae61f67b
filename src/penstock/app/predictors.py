"""A predictor as an application declares it: a feature set, a model, and how a campaign finds its customers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from penstock.app.features import FeatureSet, RequestValue
from penstock.errors import UsageError

# Above them the monitor raises an alert, but for `volume_min`; `monitor=` declares others.
DEFAULT_BOUNDS: dict[str, float] = {
    "psi": 0.25,
    "ks": 0.3,
    "null_rate_rise": 0.2,
    "latency_p99_ms": 100.0,
    "skew": 0.0,
    "error_rate": 0.05,
    "staleness_days": math.inf,
    "accuracy_drop": 0.1,
    "auc_drop": 0.1,
    "calibration": 0.05,
    "volume_min": 0.0,
}


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
    monitor: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        source, entity = self.features.source, self.features.entity
        if self.campaign_by is not None:
            keys = source.indexes.get(self.campaign_by)
            if keys is None or not keys.is_global or keys.sort != entity:
                raise UsageError(
                    f"{self.name}: campaign_by={self.campaign_by!r} has to be a global index of {source.name} that is "
                    f"sorted by {entity}"
                )
        if source.key_types.get(entity) == "B":
            raise UsageError(
                f"{self.name}: {entity} is binary, which no address can say; predict by text or a number"
            )
        if not 0 <= self.challenger_share <= 1:
            raise UsageError(
                f"{self.name}: challenger_share lies between 0 and 1, not at {self.challenger_share}"
            )
        if self.challenger_share and self.challenger is None:
            raise UsageError(f"{self.name}: challenger_share is the share of a challenger, and none is named")
        unknown = sorted((self.monitor or {}).keys() - DEFAULT_BOUNDS.keys())
        if unknown:
            raise UsageError(
                f"{self.name}: monitor has no bound {', '.join(unknown)}; there is {', '.join(DEFAULT_BOUNDS)}"
            )

    def example(self) -> str:
        """The path that asks about one, with what the request has to bring: `/predict/will_buy/customer/c1?basket_value=1`."""
        entity = "1" if self.features.source.key_types.get(self.features.entity) == "N" else "c1"
        owed = [
            f"{each.name}=1"
            for each in self.features.features.values()
            if isinstance(each, RequestValue) and each.default is None
        ]
        path = f"/predict/{self.name}/{self.features.entity_name}/{entity}"
        return f"{path}?{'&'.join(owed)}" if owed else path
