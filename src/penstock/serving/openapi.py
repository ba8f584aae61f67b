"""What the predict API says of itself in OpenAPI: the shapes of answers and of refusals."""

from __future__ import annotations

from typing import Any

_SCALAR = {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "boolean"}]}
_NULLABLE = {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "boolean"}, {"type": "null"}]}
_ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["requestId", "prediction", "probability", "features", "modelVersion", "latencyMs"],
    "properties": {
        "requestId": {"type": "string", "description": "The key of its row in InferenceMetadata."},
        "prediction": _SCALAR,
        "probability": {
            "anyOf": [{"type": "number"}, {"type": "null"}],
            "description": "Of the second class with two, of the likeliest with more; null for a regression.",
        },
        "features": {"type": "object", "additionalProperties": _NULLABLE},
        "modelVersion": {"type": "string"},
        "latencyMs": {"type": "number"},
        "note": {"type": "string", "description": "Says so where the entity has no events."},
    },
}
ANSWER: dict[str, Any] = {
    "description": "The prediction.",
    "content": {"application/json": {"schema": _ANSWER_SCHEMA}},
}
CAMPAIGN: dict[str, Any] = {
    "description": "A line for each entity as it is predicted; the last one tells how many there were. With the entity's "
    "own name in the path, one prediction.",
    "content": {
        "application/x-ndjson": {"schema": {"type": "string"}},
        "application/json": {"schema": _ANSWER_SCHEMA},
    },
}
INVOCATION: dict[str, Any] = {
    "description": "As InvokeEndpoint answers.",
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "text/csv": {"schema": {"type": "string"}},
    },
}
_PROBLEM = {
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {
                "error": {"type": "string"},
                "message": {"type": "string"},
                "Message": {"type": "string"},
            },
        }
    }
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "A bad id, time or body.", "content": _PROBLEM},
    404: {"description": "No such predictor, entity or campaign.", "content": _PROBLEM},
    406: {"description": "A content type that is not answered in.", "content": _PROBLEM},
    409: {"description": "This X-Request-Id was used for something else.", "content": _PROBLEM},
    413: {"description": "The body is too large.", "content": _PROBLEM},
    415: {"description": "A content type that is not read.", "content": _PROBLEM},
    422: {"description": "Values that the features need are missing.", "content": _PROBLEM},
    424: {"description": "The model failed (InvokeEndpoint).", "content": _PROBLEM},
    500: {"description": "The model failed.", "content": _PROBLEM},
    503: {"description": "No model, or the store does not answer.", "content": _PROBLEM},
}
