"""Items as people read and write them: DynamoDB JSON text, binary as base64; and keys as one word of a URL.

T1. `item_of(text_of(item))` is the item. What is no item is a UsageError that names the place.
T2. `key_word` and `key_of_word` are each other's inverse.
"""

from __future__ import annotations

from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson

from penstock.errors import UsageError

Item: TypeAlias = dict[str, Any]

_EXAMPLE = 'a value says its type, such as {"S": "text"} or {"N": "12.50"}'
_TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"})


def text_of(held: Mapping[str, Any] | list[Any]) -> str:
    return orjson.dumps(held, default=_base64, option=orjson.OPT_INDENT_2).decode()


def item_of(text: str) -> Item:
    """The item in boto3's shapes."""
    try:
        held = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"this is not JSON: {error}") from error
    if not isinstance(held, dict):
        raise UsageError("an item is a JSON object: attribute names and their values")
    return {name: value_of(value, name) for name, value in held.items()}


def value_of(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) != 1:
        raise UsageError(f"{path}: {_EXAMPLE}")
    kind, held = next(iter(value.items()))
    if kind not in _TYPES:
        raise UsageError(f"{path}: there is no type {kind!r}; {_EXAMPLE}")
    match kind:
        case "S" | "N":
            if not isinstance(held, str):
                raise UsageError(f'{path}: {kind} holds text in quotes, as in {{"{kind}": "{held}"}}')
        case "BOOL" | "NULL":
            if not isinstance(held, bool):
                raise UsageError(f"{path}: {kind} holds true or false")
        case "B":
            return {"B": _bytes(held, path)}
        case "M":
            if not isinstance(held, dict):
                raise UsageError(f"{path}: M holds an object")
            return {"M": {name: value_of(each, f"{path}.{name}") for name, each in held.items()}}
        case _:
            if not isinstance(held, list):
                raise UsageError(f"{path}: {kind} holds a list")
            if kind == "L":
                return {"L": [value_of(each, f"{path}[{place}]") for place, each in enumerate(held)]}
            if kind == "BS":
                return {"BS": [_bytes(each, path) for each in held]}
            if not all(isinstance(each, str) for each in held):
                raise UsageError(f"{path}: {kind} holds text in quotes")
    return {kind: held}


def _bytes(held: Any, path: str) -> bytes:
    try:
        return b64decode(held, validate=True)
    except (TypeError, ValueError, Base64Error) as error:
        raise UsageError(f"{path}: binary is written as base64 text") from error


def _base64(held: object) -> object:
    if isinstance(held, bytes | bytearray):
        return b64encode(held).decode()
    raise TypeError(type(held).__name__)


def key_word(key: Mapping[str, Any]) -> str:
    text = orjson.dumps(dict(key), default=_base64, option=orjson.OPT_SORT_KEYS)
    return urlsafe_b64encode(text).decode().rstrip("=")


def key_of_word(word: str) -> Item:
    try:
        return item_of(urlsafe_b64decode(word + "=" * (-len(word) % 4)).decode())
    except (ValueError, UsageError) as error:
        raise UsageError("the address names no key of this table") from error
