"""A request as something to paste: Python for penstock.connect (or boto3), and the AWS command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import orjson

from penstock.console.typed_json import text_of

_WIDTH = 80


def as_python(action: str, request: Mapping[str, Any], api_url: str) -> str:
    method = _words(action, "_")
    lines = ["import penstock", "", f"client = penstock.connect({api_url!r})", f"answer = client.{method}("]
    lines += [f"    {name}={_literal(value, 4)}," for name, value in request.items()]
    return "\n".join([*lines, ")"])


def as_cli(action: str, request: Mapping[str, Any], api_url: str) -> str:
    parts = [f"aws dynamodb {_words(action, '-')} --endpoint-url {api_url}"]
    for name, value in request.items():
        option = "--" + _words(name, "-")
        if isinstance(value, bool):
            parts.append(option if value else "--no-" + option[2:])
        elif isinstance(value, str | int):
            parts.append(f"{option} {shlex.quote(str(value))}")
        else:
            text = orjson.dumps(orjson.loads(text_of(value))).decode()
            parts.append(f"{option} {shlex.quote(text)}")
    return " \\\n  ".join(parts)


def as_request(request: Mapping[str, Any]) -> str:
    return text_of(request)


def _words(name: str, joint: str) -> str:
    """`KeyConditionExpression` → `key-condition-expression`"""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", joint, name).lower()


def _literal(value: Any, indent: int) -> str:
    """Python source, broken over lines where it would be long."""
    flat = repr(value)
    if len(flat) + indent <= _WIDTH or not isinstance(value, dict | list) or not value:
        return flat
    pad, end = " " * (indent + 4), " " * indent
    if isinstance(value, dict):
        rows = [f"{pad}{name!r}: {_literal(each, indent + 4)}," for name, each in value.items()]
        return "\n".join(["{", *rows, end + "}"])
    return "\n".join(["[", *(f"{pad}{_literal(each, indent + 4)}," for each in value), end + "]"])
