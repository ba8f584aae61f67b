"""What AWS's JSON reader says of a value of the wrong type: SerializationException, before all other checks.

Each function takes a value that is not null and returns it as AWS would read it, or raises. Null is read as
absent, and whoever holds the value drops it before it comes here.
"""

from __future__ import annotations

import re
from typing import Any

from penstock.errors import ServiceError, serialization

_STRUCTURE = "Start of structure or map found where not expected"
_SCALAR = "Unexpected field type"
_not_base64 = re.compile(r"[^A-Za-z0-9+/=]|=(?=[^=])").search


def string(value: Any) -> str:
    if isinstance(value, str):
        return _sound(value)
    raise _unlike(value, "String", "class java.lang.String")


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        # AWS's parser takes words here: "yes" sets Enabled, "dog" is refused.
        if value.lower() in ("true", "yes", "false", "no"):
            return value.lower() in ("true", "yes")
        raise serialization("Unexpected token received from parser")
    raise _unlike(value, "Boolean", "class java.lang.Boolean")


def whole_number(value: Any, kind: str) -> int:
    """`kind` is Java's: Integer or Long. A fraction is cut off, as AWS does."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unlike(value, kind, f"class java.lang.{kind}")
    if abs(value) >= 2 ** (31 if kind == "Integer" else 63):
        raise serialization(f"NUMBER_VALUE cannot be converted to {kind}")
    return int(value)


def timestamp(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unlike(value, "Date", "class java.util.Date")
    return value


def blob(value: Any) -> str:
    """Base64 text as AWS reads it: the standard alphabet, padded, no bits to spare."""
    if not isinstance(value, str):
        raise _unlike(value, "ByteBuffer", "class java.nio.ByteBuffer")
    found = _not_base64(value)
    if len(value) % 4:
        raise serialization(
            f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(value)}"
        )
    if found is not None:
        raise serialization(f"Invalid Base64 character: '{found[0]}'")
    return value


def spare_bits() -> ServiceError:
    """For base64 whose last character holds bits that no byte takes. The misspelling is AWS's."""
    return serialization("Invalid last non-pad Base64 character dectected")


def array(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise serialization(_STRUCTURE if isinstance(value, dict) else _SCALAR)


def mapping(value: Any, java: str) -> dict[str, Any]:
    """`java` is the type that AWS names when it finds an array instead."""
    if isinstance(value, dict):
        return value
    raise serialization(f"Unrecognized collection type {java}" if isinstance(value, list) else _SCALAR)


def structure(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        raise serialization(f"Unrecognized collection type class com.amazonaws.dynamodb.v20120810.{name}")
    raise serialization("Unexpected value type in payload")


def _sound(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # A lone surrogate is no Unicode text: it cannot be stored, compared as UTF-8, or sent back.
        raise serialization("Unexpected token received from parser") from error
    return value


def _unlike(value: Any, kind: str, collection: str) -> ServiceError:
    if isinstance(value, dict):
        return serialization(_STRUCTURE)
    if isinstance(value, list):
        return serialization(f"Unrecognized collection type {collection}")
    return serialization(f"{_token(value)} cannot be converted to {kind}")


def _token(value: Any) -> str:
    """The name that AWS's parser has for a scalar."""
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    if isinstance(value, int):
        return "NUMBER_VALUE"
    return "DECIMAL_VALUE" if isinstance(value, float) else "STRING_VALUE"
