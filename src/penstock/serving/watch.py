"""Counts and spreads of what predictors answer, as metrics and for the monitor.

A spread is a histogram over fixed bounds taken from the training set (models/baseline.py), so that what is seen can be held
against it at any time, and windows of time add up.
"""

from __future__ import annotations

from penstock.metrics.registry import Registry
from penstock.serving.inference_log import Inference, label_text


class Watch:
    """Told of every answer; costs a few dictionary look-ups."""

    def __init__(self, metrics: Registry | None = None) -> None:
        metrics = metrics or Registry()
        self.metrics = metrics
        self.answers = metrics.counter(
            "penstock_predictions_total",
            "Predictions answered and logged.",
            "predictor",
            "version",
            "prediction",
        )
        self.failures = metrics.counter(
            "penstock_prediction_failures_total",
            "Prediction requests that were refused or failed.",
            "predictor",
            "code",
        )
        self.latency = metrics.histogram(
            "penstock_prediction_seconds", "From the request to the row in the log.", "predictor"
        )
        self.challengers = metrics.counter(
            "penstock_challenger_failures_total",
            "Challenger predictions that failed; the caller is not told.",
            "predictor",
        )

    def saw(self, inference: Inference) -> None:
        label = inference.prediction.label
        # A number has too many values for a label of a metric.
        shown = "number" if isinstance(label, float) else label_text(label)
        self.answers.add(1, inference.predictor, str(inference.version), shown)
        self.latency.see(inference.latency_ms / 1000, inference.predictor)

    def failed(self, predictor: str, code: str) -> None:
        self.failures.add(1, predictor, code)

    def challenger_failed(self, predictor: str, message: str) -> None:
        self.challengers.add(1, predictor)
