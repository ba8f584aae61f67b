"""botocore's service model as the second opinion: what each request declares, and whether a response has its shape."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

from botocore.loaders import Loader

from penstock.operations.kinds import Attributes, Flag, Kind, ListOf, MapOf, Stamp, Struct, Text, Value, Whole

Shapes = dict[str, dict[str, Any]]


@cache
def model(service: str) -> dict[str, Any]:
    """`service` is dynamodb or dynamodbstreams."""
    loaded: dict[str, Any] = Loader().load_service_model(service, "service-2", "2012-08-10")
    return loaded


def request_differences(service: str, action: str, declared: Struct) -> set[str]:
    """Where a declared request says other than the model, as "shape fact: declared, model says other"."""
    found = model(service)
    shape = found["operations"][action]["input"]["shape"]
    differences: set[str] = set()
    _compare(declared, shape, found["shapes"], differences)
    return differences


def _compare(kind: Kind, shape: str, shapes: Shapes, out: set[str]) -> None:
    modelled = shapes[shape]
    if (expected := _type(kind)) != modelled["type"] and (expected, modelled["type"]) != ("map", "structure"):
        out.add(f"{shape} type: {expected}, model says {modelled['type']}")
        return
    match kind:
        case Text() | Whole() | ListOf():
            _compare_bounds(kind, shape, modelled, out)
        case MapOf():
            _compare_bounds(kind, shape, modelled, out)
            _compare(kind.key, modelled["key"]["shape"], shapes, out)
            _compare(kind.value, modelled["value"]["shape"], shapes, out)
        case Struct():
            _compare_members(kind, shape, shapes, out)
        case _:
            return
    if isinstance(kind, ListOf):
        _compare(kind.element, modelled["member"]["shape"], shapes, out)


def _compare_members(kind: Struct, shape: str, shapes: Shapes, out: set[str]) -> None:
    modelled = shapes[shape]
    members: dict[str, Any] = modelled.get("members", {})
    for name in members.keys() ^ kind.members.keys():
        out.add(f"{shape} member {name}: {'not ' * (name not in kind.members)}declared")
    for name in set(modelled.get("required", [])) ^ set(kind.required):
        out.add(f"{shape} member {name}: {'not ' * (name not in kind.required)}required")
    for name in members.keys() & kind.members.keys():
        _compare(kind.members[name], members[name]["shape"], shapes, out)


def _compare_bounds(kind: Text | Whole | ListOf | MapOf, shape: str, modelled: Any, out: set[str]) -> None:
    facts: dict[str, Any] = {"min": kind.min or None, "max": kind.max}
    said: dict[str, Any] = {"min": modelled.get("min") or None, "max": modelled.get("max")}
    if isinstance(kind, Text):
        facts |= {"pattern": kind.pattern, "enum": sorted(kind.enum)}
        said |= {"pattern": modelled.get("pattern"), "enum": sorted(modelled.get("enum", []))}
    for fact, value in facts.items():
        if value != said[fact]:
            out.add(f"{shape} {fact}: {value}, model says {said[fact]}")


def _type(kind: Kind) -> str:
    match kind:
        case Text():
            return "string"
        case Whole():
            return "long" if kind.java == "Long" else "integer"
        case Flag():
            return "boolean"
        case Stamp():
            return "timestamp"
        case Attributes() | MapOf():
            return "map"
        case Value() | Struct():
            return "structure"
        case ListOf():
            return "list"


def response_faults(service: str, action: str, response: Any) -> list[str]:
    """What in an answer's JSON the model does not allow: unknown or missing members, wrong JSON types."""
    found = model(service)
    output = found["operations"][action].get("output")
    if output is None:
        return [] if response == {} else [f"{action}: an empty answer was expected"]
    return _faults(output["shape"], response, found["shapes"], action)


_JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "blob": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "double": (int, float),
    "float": (int, float),
    "timestamp": (int, float),
    "list": list,
    "map": dict,
    "structure": dict,
}


def _faults(shape: str, value: Any, shapes: Shapes, path: str) -> list[str]:
    modelled = shapes[shape]
    kind = modelled["type"]
    fits = isinstance(value, _JSON_TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
    if not fits:
        return [f"{path}: {type(value).__name__} where {kind} was expected"]
    if kind == "structure":
        return _member_faults(modelled, value, shapes, path)
    if kind == "list":
        inner = modelled["member"]["shape"]
        return [f for i, each in enumerate(value) for f in _faults(inner, each, shapes, f"{path}[{i}]")]
    if kind == "map":
        inner = modelled["value"]["shape"]
        return [f for name, each in value.items() for f in _faults(inner, each, shapes, f"{path}.{name}")]
    if "enum" in modelled and value not in modelled["enum"]:
        return [f"{path}: {value!r} is none of {modelled['enum']}"]
    if kind == "blob" and base64.b64encode(base64.b64decode(value)).decode() != value:
        return [f"{path}: not base64"]
    return []


def _member_faults(modelled: Any, value: Any, shapes: Shapes, path: str) -> list[str]:
    members = modelled.get("members", {})
    faults = [f"{path}.{name}: unknown" for name in value if name not in members]
    faults += [f"{path}.{name}: missing" for name in modelled.get("required", []) if name not in value]
    for name in value.keys() & members.keys():
        faults += _faults(members[name]["shape"], value[name], shapes, f"{path}.{name}")
    return faults
