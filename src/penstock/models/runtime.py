"""Registry versions as models in memory, by format."""

from __future__ import annotations

import importlib
from typing import cast

from penstock.errors import UsageError
from penstock.models import linear
from penstock.models.prediction import Model
from penstock.models.registry import Version
from penstock.models.signature import signature_of

IN_PROCESS = frozenset({"linear", "onnx", "lightgbm"})
_NEEDS = {"onnx": "onnxruntime", "lightgbm": "lightgbm"}


def load_model(version: Version, content: bytes) -> Model:
    """A model of a format that may run in the table process. Python classes are not loaded here, by design."""
    if version.format == "linear":
        return linear.load(content)
    if version.format not in IN_PROCESS:
        raise UsageError(f"{version.name} is a {version.format} model, which runs in a worker only")
    try:
        # Loaded when a model needs it: onnxruntime takes longer to import than a linear prediction needs to start.
        module = importlib.import_module(f"penstock.models.{version.format}")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{version.name} needs {_NEEDS[version.format]}: pip install {_NEEDS[version.format]}"
        ) from error
    return cast(Model, module.load(content, signature_of(version.columns), version.classes))
