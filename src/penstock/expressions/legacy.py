"""The parameters from before expressions, each translated once to the same objects.

    Expected, ConditionalOperator                   -> Condition
    QueryFilter, ScanFilter, ConditionalOperator    -> Condition
    KeyConditions                                   -> KeyRange
    AttributesToGet                                 -> Projection
    AttributeUpdates                                -> Update

They have findings of their own, worded differently from those of expressions, and all about values alone. An
attribute's name may hold any character here, so the trees that are built say #0, #1 and map these to the names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from penstock.errors import invalid_parameter, validation
from penstock.expressions import updates
from penstock.expressions.comparing import ORDERED_TYPES, SET_TYPES, order_key, payload_of, type_of
from penstock.expressions.conditions import Condition, condition_of
from penstock.expressions.key_ranges import KeyCondition, KeyRange, not_supported, range_of
from penstock.expressions.projections import Projection
from penstock.expressions.syntax import (
    Action,
    And,
    Between,
    Call,
    Comparison,
    In,
    Not,
    Or,
    Path,
    Section,
    Value,
)
from penstock.expressions.syntax import Condition as ConditionNode
from penstock.expressions.updates import Update
from penstock.model.tables import KeySchema
from penstock.model.values import AttributeValue

Request: TypeAlias = Mapping[str, Any]

# In the order in which AWS's message lists them.
OLD_PARAMETERS = (
    "AttributesToGet",
    "AttributeUpdates",
    "Expected",
    "QueryFilter",
    "ScanFilter",
    "ConditionalOperator",
    "KeyConditions",
)
EXPRESSION_PARAMETERS = (
    "ProjectionExpression",
    "UpdateExpression",
    "ConditionExpression",
    "FilterExpression",
    "KeyConditionExpression",
)
_OLD = frozenset(OLD_PARAMETERS)

COMPARATORS = {"EQ": "=", "NE": "<>", "LE": "<=", "LT": "<", "GE": ">=", "GT": ">"}
_KEY_OPERATORS = {
    **{name: sign for name, sign in COMPARATORS.items() if name != "NE"},
    "BETWEEN": "BETWEEN",
    "BEGINS_WITH": "begins_with",
}
_SINGLE_TYPES = frozenset(["S", "N", "B", "BOOL", "NULL"])
_TYPES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("LE", "LT", "GE", "GT", "BETWEEN", "IN"), ORDERED_TYPES),
    **dict.fromkeys(("CONTAINS", "NOT_CONTAINS"), _SINGLE_TYPES),
    "BEGINS_WITH": frozenset(["S", "B"]),
}  # EQ and NE take every type.
_COUNTS = {"NULL": 0, "NOT_NULL": 0, "BETWEEN": 2}  # IN takes one or more, all others one.


def check_not_mixed(request: Request) -> None:
    """Old and new parameters may not meet in one request."""
    if _OLD.isdisjoint(request):
        return
    old = [name for name in OLD_PARAMETERS if request.get(name) is not None]
    new = [name for name in EXPRESSION_PARAMETERS if request.get(name) is not None]
    if old and new:
        raise validation(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(old)}}} Expression parameters: {{{', '.join(new)}}}"
        )


# Conditions.


class _Builder:
    """A tree under construction, with the placeholders that it needs."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, AttributeValue] = {}

    def path(self, name: str) -> Path:
        placeholder = f"#{len(self.names)}"
        self.names[placeholder] = name
        return Path((placeholder,))

    def value(self, value: AttributeValue) -> Value:
        placeholder = f":{len(self.values)}"
        self.values[placeholder] = value
        return Value(placeholder)

    def comparison(self, name: str, operator: str, operands: Sequence[AttributeValue]) -> ConditionNode:
        path = self.path(name)
        values = [self.value(operand) for operand in operands]
        if operator in COMPARATORS:
            return Comparison(COMPARATORS[operator], path, values[0])
        match operator:
            case "NULL":
                return Call("attribute_not_exists", (path,))
            case "NOT_NULL":
                return Call("attribute_exists", (path,))
            case "BETWEEN":
                return Between(path, values[0], values[1])
            case "IN":
                return In(path, tuple(values))
            case "BEGINS_WITH":
                return Call("begins_with", (path, values[0]))
            case "CONTAINS":
                return Call("contains", (path, values[0]))
            case "NOT_CONTAINS":
                # What is not there is not compared: both CONTAINS and NOT_CONTAINS fail.
                return And((Call("attribute_exists", (path,)), Not(Call("contains", (path, values[0])))))
        raise AssertionError(operator)

    def condition(self, terms: list[ConditionNode], request: Request, kind: str) -> Condition:
        join = Or if request.get("ConditionalOperator") == "OR" else And
        return condition_of(join(tuple(terms)), self.names, self.values, kind)


def condition_of_expected(request: Request) -> Condition | None:
    expected: Mapping[str, Any] = request.get("Expected") or {}
    _check_conditional_operator(request, len(expected))
    for name, given in expected.items():
        _check_expected(name, given)
    if not expected:
        return None
    builder = _Builder()
    terms = [builder.comparison(name, *_expectation(given)) for name, given in expected.items()]
    return builder.condition(terms, request, "Expected")


def _expectation(given: Mapping[str, Any]) -> tuple[str, Sequence[AttributeValue]]:
    operator = given.get("ComparisonOperator")
    if operator is not None:
        return operator, _operands(given)
    if given.get("Exists") is False:
        return "NULL", ()
    return "EQ", (given["Value"],)


def _operands(given: Mapping[str, Any]) -> Sequence[AttributeValue]:
    if given.get("Value") is not None:
        return (given["Value"],)
    operands: Sequence[AttributeValue] = given.get("AttributeValueList") or ()
    return operands


def _check_expected(name: str, given: Mapping[str, Any]) -> None:
    value, several = given.get("Value"), given.get("AttributeValueList")
    operator, exists = given.get("ComparisonOperator"), given.get("Exists")
    if value is not None and several is not None:
        raise invalid_parameter(f"Value and AttributeValueList cannot be used together for Attribute: {name}")
    if operator is not None:
        if exists is not None:
            raise invalid_parameter(
                f"Exists and ComparisonOperator cannot be used together for Attribute: {name}"
            )
        if value is None and several is None and operator not in ("NULL", "NOT_NULL"):
            raise invalid_parameter(
                f"Value or AttributeValueList must be used with ComparisonOperator: {operator} "
                f"for Attribute: {name}"
            )
        _check_operands(operator, _operands(given))
    elif several is not None:
        raise invalid_parameter(
            f"AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}"
        )
    elif exists is False and value is not None:
        raise invalid_parameter(f"Value cannot be used when Exists is false for Attribute: {name}")
    elif exists is not False and value is None:
        shown = "null" if exists is None else "true"
        raise invalid_parameter(f"Value must be provided when Exists is {shown} for Attribute: {name}")


def condition_of_filter(request: Request, parameter: str) -> Condition | None:
    """`parameter`: QueryFilter or ScanFilter."""
    given: Mapping[str, Any] = request.get(parameter) or {}
    _check_conditional_operator(request, len(given))
    for condition in given.values():
        _check_operands(condition["ComparisonOperator"], _operands(condition))
    if not given:
        return None
    builder = _Builder()
    terms = [
        builder.comparison(name, condition["ComparisonOperator"], _operands(condition))
        for name, condition in given.items()
    ]
    return builder.condition(terms, request, parameter)


def _check_conditional_operator(request: Request, count: int) -> None:
    if request.get("ConditionalOperator") is None or count > 1:
        return
    if count == 0:
        raise validation("ConditionalOperator cannot be used without Filter or Expected")
    raise validation("ConditionalOperator can only be used when Filter or Expected has two or more elements")


def _check_operands(operator: str, operands: Sequence[AttributeValue]) -> None:
    types = _TYPES.get(operator)
    for operand in operands:
        if types is not None and type_of(operand) not in types:
            raise invalid_parameter(
                f"ComparisonOperator {operator} is not valid for {type_of(operand)} AttributeValue type"
            )
    if not operands if operator == "IN" else len(operands) != _COUNTS.get(operator, 1):
        raise invalid_parameter(f"Invalid number of argument(s) for the {operator} ComparisonOperator")
    if len({type_of(operand) for operand in operands}) > 1:
        raise invalid_parameter("AttributeValues inside AttributeValueList must be of same type")
    if operator == "BETWEEN":
        low, high = operands
        kind = type_of(low)
        if order_key(kind, payload_of(low)) > order_key(kind, payload_of(high)):
            raise validation(
                "The BETWEEN condition was provided a range where the lower bound is greater than the "
                "upper bound"
            )


# Keys, projections, updates.


def key_range_of(request: Request, schema: KeySchema) -> KeyRange:
    given: Mapping[str, Any] = request["KeyConditions"]
    for condition in given.values():
        _check_operands(condition["ComparisonOperator"], _operands(condition))
    if not 1 <= len(given) <= max(2, len(schema.names)):
        raise validation("Conditions can be of length 1 or 2 only")
    conditions: dict[str, KeyCondition] = {}
    for name, condition in given.items():
        operator = _KEY_OPERATORS.get(condition["ComparisonOperator"])
        if operator is None:
            raise not_supported()
        conditions[name] = KeyCondition(name, operator, tuple(_operands(condition)))
    return range_of(conditions, schema)


def projection_of(request: Request) -> Projection | None:
    names: Sequence[str] | None = request.get("AttributesToGet")
    if names is None:
        return None
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise invalid_parameter(f"Duplicate value in attribute name: {name}")
        seen.add(name)
    return Projection(tuple((name,) for name in names), frozenset())


def update_of(request: Request) -> Update | None:
    given: Mapping[str, Any] | None = request.get("AttributeUpdates")
    if not given:
        return None
    builder = _Builder()
    sections: dict[str, list[Action]] = {}
    for name, change in given.items():
        action, value = change.get("Action") or "PUT", change.get("Value")
        _check_change(action, value)
        made = _action(builder, name, action, value)
        sections.setdefault(made.section, []).append(made)
    ordered = tuple(Section(keyword, tuple(actions)) for keyword, actions in sections.items())
    return updates.update_of(ordered, builder.names, builder.values, "Type mismatch for attribute to update")


def _check_change(action: str, value: AttributeValue | None) -> None:
    if value is None:
        if action != "DELETE":
            raise invalid_parameter("Only DELETE action is allowed when no attribute value is specified")
        return
    kind = type_of(value)
    if action == "DELETE" and kind not in SET_TYPES:
        raise invalid_parameter(f"DELETE action with value is not supported for the type {kind}")
    if action == "ADD" and kind not in SET_TYPES and kind not in ("N", "L"):
        raise invalid_parameter(f"ADD action is not supported for the type {kind}")


def _action(builder: _Builder, name: str, action: str, value: AttributeValue | None) -> Action:
    path = builder.path(name)
    if value is None:
        return Action("REMOVE", path)
    operand = builder.value(value)
    if action == "PUT":
        return Action("SET", path, operand)
    if action == "ADD" and "L" in value:
        # Not in AWS's documentation, but it does: ADD appends a list to a list. ADD in an expression does not.
        present = Call("if_not_exists", (path, builder.value({"L": []})))
        return Action("SET", path, Call("list_append", (present, operand)))
    return Action(action, path, operand)
