"""Placeholders: which are written rightly, which are defined, and which are left over.

A request's #names and :values belong to all of its expressions together, so what is left over can only be
known when each has been compiled: the operation joins their `used_names` and `used_values` and asks
`check_all_used`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from itertools import islice
from typing import Any, NoReturn

from penstock.errors import ServiceError, validation
from penstock.expressions.syntax import DocumentPath, Path, Tree
from penstock.limits import NESTING_DEPTH_MAX, PLACEHOLDER_BYTES_MAX
from penstock.model.values import AttributeValue

_is_name_placeholder = re.compile(r"#[A-Za-z0-9_]+").fullmatch
_is_value_placeholder = re.compile(r":[A-Za-z0-9_]+").fullmatch

LISTED_MAX = (
    250  # AWS lists all; more than any request has by an oversight would cost more to tell than to read.
)
NAMES = "ExpressionAttributeNames"
VALUES = "ExpressionAttributeValues"


def resolve(path: Path, names: Mapping[str, str], kind: str) -> DocumentPath:
    parts: list[str | int] = []
    for part in path.parts:
        if isinstance(part, str) and part[0] == "#":
            name = names.get(part)
            if name is None:
                raise validation(
                    f"Invalid {kind}: An expression attribute name used in the document path is not defined; "
                    f"attribute name: {part}"
                )
            if name == "":
                raise empty_name(part)
            parts.append(name)
        else:
            parts.append(part)
    if len(parts) > NESTING_DEPTH_MAX:
        raise validation(
            f"Invalid {kind}: The document path has too many nesting levels; nesting levels: {len(parts)}"
        )
    return tuple(parts)


def names_key(tree: Tree, names: Mapping[str, str]) -> tuple[str | None, ...]:
    """The real names of the tree's placeholders, in their order: with the text, what a program depends on."""
    return tuple([names.get(placeholder) for placeholder in tree.placeholders])


def names_of(tree: Tree, key: tuple[str | None, ...]) -> dict[str, str]:
    return {
        placeholder: name
        for placeholder, name in zip(tree.placeholders, key, strict=True)
        if name is not None
    }


def check_placeholders(names: Mapping[str, str] | None, values: Mapping[str, AttributeValue] | None) -> None:
    """The keys of the two maps, before any expression is read. What the values hold is checked elsewhere."""
    if names is not None:
        _check_keys(NAMES, names, _is_name_placeholder)
        for key, name in names.items():
            if name == "":
                raise empty_name(key)
    if values is not None:
        _check_keys(VALUES, values, _is_value_placeholder)


def empty_name(placeholder: str) -> ServiceError:
    return validation(f"{NAMES} contains invalid value: Empty attribute name for key {placeholder}")


def _check_keys(parameter: str, given: Mapping[str, object], is_placeholder: Any) -> None:
    if not given:
        raise validation(f"{parameter} must not be empty")
    for key in given:
        if is_placeholder(key) is None:
            raise validation(f'{parameter} contains invalid key: Syntax error; key: "{key}"')
        if len(key) > PLACEHOLDER_BYTES_MAX:
            raise validation(
                f"{parameter} contains invalid key: The expression attribute map contains a key that is too "
                f"long; size of key: {len(key)}"
            )


# By an action's leading expression, those of its expressions that may hold :values, as AWS's message lists them.
_VALUE_HOLDERS = {
    "ConditionExpression": ("ConditionExpression",),
    "UpdateExpression": ("UpdateExpression", "ConditionExpression"),
    "FilterExpression": ("FilterExpression",),
    "KeyConditionExpression": ("FilterExpression", "KeyConditionExpression"),
    "ProjectionExpression": (),
}


def check_not_without_expression(request: Mapping[str, Any], leading: str) -> None:
    """Placeholders need an expression to stand in; `leading` names the action's first."""
    holders = _VALUE_HOLDERS[leading]
    expressions = (*holders, "ProjectionExpression")
    if request.get(NAMES) is not None and all(request.get(name) is None for name in expressions):
        raise validation(f"{NAMES} can only be specified when using expressions")
    if request.get(VALUES) is not None and holders and all(request.get(name) is None for name in holders):
        verb = "are" if len(holders) > 1 else "is"
        raise validation(
            f"{VALUES} can only be specified when using expressions: {' and '.join(holders)} {verb} null"
        )


def check_all_used(
    names: Mapping[str, str] | None,
    values: Mapping[str, AttributeValue] | None,
    used_names: Set[str],
    used_values: Set[str],
) -> None:
    """Every placeholder that the request defines stands in one of its expressions.

    A key that is no placeholder can stand in none, so this is also where it is found when nothing asked for
    `check_placeholders` before.
    """
    if names is not None and (not names or not names.keys() <= used_names):
        check_placeholders(names, values)
        _raise_unused(NAMES, names, used_names)
    if values is not None and (not values or not values.keys() <= used_values):
        check_placeholders(names, values)
        _raise_unused(VALUES, values, used_values)


def _raise_unused(parameter: str, given: Mapping[str, object], used: Set[str]) -> NoReturn:
    unused = list(islice((key for key in given if key not in used), LISTED_MAX))
    listed = ", ".join(_in_hash_order(unused, len(given)))
    raise validation(f"Value provided in {parameter} unused in expressions: keys: {{{listed}}}")


def _in_hash_order(keys: list[str], count: int) -> list[str]:
    """AWS lists several keys as a Java HashSet holds them: by the low bits of their hash."""
    slots = 16
    while slots * 3 < count * 4:
        slots *= 2

    def slot(key: str) -> int:
        code = 0
        for character in key:
            code = (code * 31 + ord(character)) & 0xFFFFFFFF
        return (code ^ code >> 16) & (slots - 1)

    return sorted(keys, key=slot)
