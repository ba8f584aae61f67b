"""Which optional parts are installed, and the words for what is missing: `pip install penstock` alone gives the tables."""

from __future__ import annotations

from importlib.util import find_spec

_MODULES = {
    "app": ("fastapi", "uvicorn", "jinja2", "numpy", "cloudpickle"),
    "lake": ("duckdb", "pyarrow", "pyiceberg"),
    "models": ("numpy", "sklearn", "onnxruntime", "skl2onnx"),
    "aws": ("boto3",),
}
_GIVES = {
    "app": "predictions, events over HTTP and the console",
    "lake": "the lake and SQL",
    "models": "training and ONNX models",
}


def has(extra: str) -> bool:
    return all(find_spec(module) is not None for module in _MODULES[extra])


def has_app() -> bool:
    return has("app")


def missing() -> list[str]:
    """One sentence for each part that is not installed."""
    return [
        f"{gives} need: pip install 'penstock[{extra}]'" for extra, gives in _GIVES.items() if not has(extra)
    ]
