"""Why a request does not fit its shape, in AWS's words: the slow walk behind accepting.py.

AWS works in three steps, and so does `explain`:

1. Its JSON reader refuses wrong types, in the order in which the request has its members
(SerializationException).
   Reading drops members that are null and members that the shape does not know.
2. Some findings stand alone: a bad table name, and required members that AWS asks for by name.
3. All others are joined: "2 validation errors detected: Value 'x' at 'returnValues' failed to satisfy …;
Value …".
"""

from __future__ import annotations

import re
from itertools import islice
from reprlib import repr as _bounded
from typing import Any
from zlib import crc32

from penstock.errors import validation
from penstock.model import json_types, value_errors
from penstock.operations.kinds import (
    ARN_MAX,
    Attributes,
    Flag,
    Kind,
    ListOf,
    MapOf,
    Stamp,
    Struct,
    Text,
    Value,
    Whole,
)

FINDINGS_MAX = 10  # AWS stops counting there.
# AWS echoes a refused list whole. So do we up to here: past any list that a client sends by an oversight,
# and short enough that a hostile one costs no more to refuse than to parse.
ECHOED_MAX = 250
_PACKAGE = "com.amazonaws.dynamodb.v20120810"

# Member names as the API writes them, list positions and map keys as text.
Path = tuple[str, ...]


def explain(shape: Struct, request: dict[str, Any]) -> None:
    """Raise what AWS says of the request. Where it says nothing, the request is left as AWS read it."""
    _read(shape, request)
    for name in shape.required:
        text = shape.missing.get(name)
        if text is not None and request.get(name) in (None, {}):
            raise validation(text)
    if shape.alone is not None:
        _refuse(_member(shape, shape.alone, request, ())[:1])
    _refuse(_findings(shape, request, ())[:FINDINGS_MAX])


def _refuse(findings: list[str]) -> None:
    if findings:
        plural = "s" if len(findings) > 1 else ""
        raise validation(f"{len(findings)} validation error{plural} detected: {'; '.join(findings)}")


# Step 1: JSON types.


def _read(kind: Kind, raw: Any) -> Any:
    match kind:
        case Text():
            return json_types.string(raw)
        case Whole():
            return json_types.whole_number(raw, kind.java)
        case Flag():
            return json_types.boolean(raw)
        case Stamp():
            return json_types.timestamp(raw)
        case Attributes():
            value_errors.settle_types(raw)
            return raw
        case Value():
            value_errors.settle_value_types(raw)
            return raw
        case ListOf():
            elements = json_types.array(raw)
            # AWS takes a null among values for a value without a type, and elsewhere for a member that is
            # null.
            valued = isinstance(kind.element, Attributes | Value)
            elements[:] = [
                _read(kind.element, each) if each is not None else {} if valued else None for each in elements
            ]
            return elements
        case MapOf():
            mapping = json_types.mapping(raw, _java_map(kind))
            for name in [name for name, value in mapping.items() if value is None]:
                del mapping[name]
            for name, value in mapping.items():
                mapping[name] = _read(kind.value, value)
            return mapping
        case Struct():
            return _read_struct(kind, raw)


def _read_struct(kind: Struct, raw: Any) -> dict[str, Any]:
    members = json_types.structure(raw, kind.name)
    for name in list(members):
        member = kind.members.get(name)
        if member is None or members[name] is None:
            del members[name]
        else:
            members[name] = _read(member, members[name])
    return members


def _java_map(kind: MapOf) -> str:
    match kind.value:
        case Struct(name=name):
            value = f"{_PACKAGE}.{name}"
        case ListOf(element=Struct(name=name)):
            value = f"java.util.List<{_PACKAGE}.{name}>"
        case _:
            value = "java.lang.String"
    return f"java.util.Map<java.lang.String, {value}>"


# Steps 2 and 3: constraints.


def _member(shape: Struct, name: str, request: dict[str, Any], path: Path) -> list[str]:
    value = request.get(name)
    here = (*path, name)
    if value is not None:
        return _findings(shape.members[name], value, here)
    return [_finding(None, here, "Member must not be null")] if name in shape.required else []


def _findings(kind: Kind, value: Any, path: Path) -> list[str]:
    match kind:
        case Text():
            return [_finding(value, path, fault) for fault in _text_faults(kind, value)]
        case Whole():
            return [_finding(value, path, fault, kind.brief) for fault in _whole_faults(kind, value)]
        case ListOf():
            return _list_findings(kind, value, path)
        case MapOf():
            return _map_findings(kind, value, path)
        case Struct():
            names = [name for name in kind.members if name != kind.alone or path]
            return [finding for name in names for finding in _member(kind, name, value, path)]
        case _:
            return []


def _text_faults(kind: Text, value: str) -> list[str]:
    if kind.or_arn and value.startswith("arn:"):
        return _length_faults(1, ARN_MAX, len(value))
    faults = []
    if kind.enum and value not in kind.enum:
        faults.append(f"Member must satisfy enum value set: [{', '.join(kind.enum)}]")
    # Length comes first for a table's name, where AWS reports one fault only.
    length = [] if kind.enum else _length_faults(kind.min, kind.max, len(value))
    pattern = []
    if kind.pattern is not None and not re.fullmatch(kind.pattern, value):
        pattern.append(f"Member must satisfy regular expression pattern: {kind.pattern}")
    return faults + ((length + pattern)[:1] if kind.or_arn else pattern + length)


def _length_faults(low: int | None, high: int | None, length: int) -> list[str]:
    if high is not None and length > high:
        return [f"Member must have length less than or equal to {high}"]
    if low is not None and length < low:
        return [f"Member must have length greater than or equal to {low}"]
    return []


def _whole_faults(kind: Whole, value: int) -> list[str]:
    if kind.max is not None and value > kind.max:
        return [f"Member must have value less than or equal to {kind.max}"]
    if kind.min is not None and value < kind.min:
        return [f"Member must have value greater than or equal to {kind.min}"]
    return []


def _list_findings(kind: ListOf, value: list[Any], path: Path) -> list[str]:
    faults = _length_faults(kind.min, kind.max, len(value))
    if isinstance(kind.element, Text):
        element = kind.element
        if any(member is None or _text_faults(element, member) for member in value):
            faults.append(f"Member must satisfy constraint: [{', '.join(_rules(element))}]")
    findings = [_finding(_shown(kind, value), path, fault, kind.brief) for fault in faults]
    if isinstance(kind.element, Struct):
        for position, member in enumerate(value[:ECHOED_MAX], start=1):
            here = (*path, str(position), "member")
            if member is None:
                findings.append(_finding(None, here, "Member must not be null"))
            else:
                findings += _findings(kind.element, member, here)
    return findings


def _map_findings(kind: MapOf, value: dict[str, Any], path: Path) -> list[str]:
    faults = _length_faults(kind.min, kind.max, len(value))
    if any(_text_faults(kind.key, name) for name in value):
        faults.append(f"Map keys must satisfy constraint: [{', '.join(_rules(kind.key))}]")
    inner = kind.value
    if isinstance(inner, Text) and any(_text_faults(inner, member) for member in value.values()):
        faults.append(f"Map value must satisfy constraint: [{', '.join(_rules(inner))}]")
    if isinstance(inner, ListOf) and any(
        _length_faults(inner.min, inner.max, len(member)) for member in value.values()
    ):
        faults.append(f"Map value must satisfy constraint: [{', '.join(_rules(inner))}]")
    findings = [_finding(_shown(kind, value), path, fault) for fault in faults]
    for name, member in islice(value.items(), ECHOED_MAX):
        here = (*path, name, "member")
        if isinstance(inner, Struct):
            findings += _findings(inner, member, here)
        elif isinstance(inner, ListOf):
            # Its bounds were reported at the map; what is left are its members.
            findings += _list_findings(ListOf(inner.element), member, here)
    return findings


def _rules(kind: Text | ListOf) -> list[str]:
    """Every constraint of a kind, as AWS lists them where one of many members breaks one."""
    rules = []
    if kind.max is not None:
        rules.append(f"Member must have length less than or equal to {kind.max}")
    if kind.min:
        rules.append(f"Member must have length greater than or equal to {kind.min}")
    if isinstance(kind, Text) and kind.pattern is not None:
        rules.append(f"Member must satisfy regular expression pattern: {kind.pattern}")
    if isinstance(kind, Text) and kind.enum:
        rules.append(f"Member must satisfy enum value set: [{', '.join(kind.enum)}]")
    return rules


# How AWS prints: paths in lower camel case, values as Java does.


def _finding(value: Any, path: Path, fault: str, brief: bool = False) -> str:
    if brief:
        return f"Value at '{'.'.join(path)}' failed to satisfy constraint: {fault}"
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{_camel_path(path)}' failed to satisfy constraint: {fault}"


def _camel_path(path: Path) -> str:
    # A map's key stands before "member" and is the client's own text; positions are digits and do not change.
    following = (*path[1:], "")
    return ".".join(
        part if after == "member" and part != "member" else _camel(part)
        for part, after in zip(path, following, strict=True)
    )


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _shown(kind: Kind, value: Any) -> str:
    if value is None:
        return "null"
    match kind:
        case ListOf():
            return f"[{', '.join([_shown(kind.element, member) for member in value[:ECHOED_MAX]])}]"
        case MapOf():
            return _shown_map(kind.value, value)
        case Attributes():
            return _shown_map(Value(), value)
        case Struct():
            parts = [f"{_camel(name)}={_shown(each, value.get(name))}" for name, each in kind.members.items()]
            return f"{kind.name}({', '.join(parts + [f'{name}=null' for name in kind.private])})"
        case Value():
            # Java's own form of an object, whose number differs from run to run on AWS; here it does not.
            return f"{_PACKAGE}.AttributeValue@{crc32(_bounded(value).encode()):x}"
        case Flag():
            return "true" if value else "false"
        case _:
            return str(value)


def _shown_map(kind: Kind, value: dict[str, Any]) -> str:
    shown = [f"{name}={_shown(kind, each)}" for name, each in islice(value.items(), ECHOED_MAX)]
    return "{" + ", ".join(shown) + "}"
