"""Literals of a statement as canonical AttributeValues.

L1. What can be known from the text alone is checked when the text is parsed: numbers, nesting, duplicates, sets.
L2. A parameter may be a whole value or a member of INSERT's item, but no part of a list, map or set.
L3. Errors name the path inside the value: root, root.a, root[0]. Each member of INSERT's item is a root of its own.
"""

from __future__ import annotations

from penstock.errors import ServiceError, invalid_parameter, validation
from penstock.limits import EXPRESSION_OPERANDS_IN_MAX, NESTING_DEPTH_MAX
from penstock.model import numbers
from penstock.model.values import AttributeValue
from penstock.partiql import syntax
from penstock.partiql.syntax import Bag, Expression, Listing, Literal, Number, Parameter, Tuple
from penstock.partiql.wording import too_deep

ROOT = "root"


def settle(expression: Expression) -> Expression:
    """The same expression with every literal in it a Literal."""
    match expression:
        case Number() | Listing() | Tuple() | Bag():
            return Literal(_value(expression, ROOT, 0))
        case syntax.Compare(operator, left, right):
            return syntax.Compare(operator, settle(left), settle(right))
        case syntax.Between(subject, low, high):
            return syntax.Between(settle(subject), settle(low), settle(high))
        case syntax.In(subject, choices):
            _check_choices(len(choices))
            return syntax.In(settle(subject), tuple(map(settle, choices)))
        case syntax.And(parts):
            return syntax.And(tuple(map(settle, parts)))
        case syntax.Or(parts):
            return syntax.Or(tuple(map(settle, parts)))
        case syntax.Not(part):
            return syntax.Not(settle(part))
        case syntax.Is(subject, type_name):
            return syntax.Is(settle(subject), type_name)
        case syntax.Call(name, arguments, place):
            return syntax.Call(name, tuple(map(settle, arguments)), place)
        case syntax.Arithmetic(operator, left, other):
            return syntax.Arithmetic(operator, settle(left), None if other is None else settle(other))
        case _:
            return expression


def settle_item(item: Tuple) -> Tuple:
    """INSERT's item: see L2."""
    _check_names(item, ROOT)
    fields = tuple(
        (name, field if isinstance(field, Parameter) else Literal(_value(field, ROOT, 0)))
        for name, field in item.fields
    )
    return Tuple(fields)


def _check_choices(count: int) -> None:
    if count > EXPRESSION_OPERANDS_IN_MAX:
        raise validation(f"The IN operator is provided with too many operands; number of operands: {count}")


def _value(expression: Expression, path: str, depth: int) -> AttributeValue:
    if depth >= NESTING_DEPTH_MAX:
        raise too_deep(path)
    match expression:
        case Literal(value):
            return value
        case Number(text):
            return {"N": _number(text, path)}
        case Listing(items):
            return {"L": [_value(item, f"{path}[{at}]", depth + 1) for at, item in enumerate(items)]}
        case Tuple(fields):
            _check_names(expression, path)
            return {"M": {name: _value(field, f"{path}.{name}", depth + 1) for name, field in fields}}
        case Bag(items):
            return _set(items, path, depth + 1)
        case Parameter(_, place):
            raise validation(f"Unsupported data type: Parameter under key {path} at {place}")
        case _:
            raise validation(f"Unsupported data type: {type(expression).__name__} under key {path}")


def _number(text: str, path: str) -> str:
    try:
        return numbers.canonical(text)
    except ServiceError as error:
        raise validation(f"{error.message} under {path}") from error


def _check_names(item: Tuple, path: str) -> None:
    seen: set[str] = set()
    for name, _ in item.fields:
        if name in seen:
            raise validation(f"Duplicate keys in tuple. Key: {name} under {path}")
        seen.add(name)


def _set(items: tuple[Expression, ...], path: str, depth: int) -> AttributeValue:
    if not items:
        raise validation("Empty bags are not supported")
    if depth >= NESTING_DEPTH_MAX:
        raise too_deep(path)
    numbers_ = [item.text for item in items if isinstance(item, Number)]
    strings = [item.value["S"] for item in items if isinstance(item, Literal) and "S" in item.value]
    if len(numbers_) == len(items):
        canonical = [_number(text, path) for text in numbers_]
        _check_distinct(canonical, numbers_, f"! under {path}")
        return {"NS": canonical}
    if len(strings) == len(items):
        _check_distinct(strings, strings, ".")
        return {"SS": strings}
    raise validation("Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags")


def _check_distinct(members: list[str], written: list[str], end: str) -> None:
    if len(set(members)) < len(members):
        raise invalid_parameter(f"Input collection [{', '.join(written)}] contains duplicates{end}")
