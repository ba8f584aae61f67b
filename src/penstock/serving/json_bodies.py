"""The JSON object of a request's body, or what is wrong with it: every route that takes one refuses alike."""

from __future__ import annotations

from typing import Any

import orjson

from penstock.serving.problems import bad_request


def json_object(body: bytes) -> dict[str, Any]:
    try:
        held = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the body is no JSON: {error}") from error
    if not isinstance(held, dict):
        raise bad_request("the body is a JSON object")
    return held
