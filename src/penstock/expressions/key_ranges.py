"""Key conditions: from an expression to the one run of keys that a Query reads.

R1. Every partition attribute has exactly one condition, an equality.
R2. Sort attributes have conditions from the left without a gap; all but the last of those are equalities.
R3. Operands have the type of their key attribute and are not empty.

So a KeyRange is a prefix of equalities and at most one range behind it. An equality on the only or the last
sort attribute is the range with operator "=".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, NoReturn

from penstock.errors import ServiceError, invalid_parameter, validation
from penstock.expressions.checks import Check
from penstock.expressions.conditions import FLIPPED, NO_VALUES, PROGRAMS_KEPT, program_of, tree_of
from penstock.expressions.resolve import check_all_used, check_placeholders, names_key, names_of, resolve
from penstock.expressions.syntax import (
    And,
    Between,
    Call,
    Comparison,
    Condition,
    In,
    Not,
    Operand,
    Or,
    Path,
    Value,
)
from penstock.limits import EXPRESSION_BYTES_MAX
from penstock.model.tables import KeyAttribute, KeySchema
from penstock.model.values import AttributeValue

KIND = "KeyConditionExpression"


@dataclass(frozen=True, slots=True)
class KeyRange:
    partition: tuple[AttributeValue, ...]
    sort_equal: tuple[AttributeValue, ...] = ()
    operator: str | None = None  # None = < <= > >= BETWEEN begins_with
    operands: tuple[AttributeValue, ...] = ()
    used_names: frozenset[str] = frozenset()
    used_values: frozenset[str] = frozenset()


class KeyCondition(NamedTuple):
    """One condition on one attribute, with the attribute on the left."""

    attribute: str
    operator: str
    operands: tuple[AttributeValue, ...]


class _Term(NamedTuple):
    """A KeyCondition before it has its values."""

    attribute: str
    operator: str
    placeholders: tuple[str, ...]


def compile_key_condition(
    text: str,
    names: Mapping[str, str] | None,
    values: Mapping[str, AttributeValue] | None,
    schema: KeySchema,
) -> KeyRange:
    given = values or NO_VALUES
    program = program_of(text, names or {}, KIND)
    for check in program.checks:
        check(given)
    conditions = {
        attribute: KeyCondition(attribute, operator, tuple([given[name] for name in placeholders]))
        for attribute, operator, placeholders in _terms_of(text, names or {})
    }
    return range_of(conditions, schema, program.used_names, program.used_values)


class Template(NamedTuple):
    """A key condition before it has its values: where each goes, and what is to be asked of them."""

    partition: str
    operator: str | None
    operands: tuple[str, ...]
    placeholders: frozenset[str]
    checks: tuple[Check, ...]


@lru_cache(maxsize=PROGRAMS_KEPT)
def template_of(text: str, names: tuple[tuple[str, str], ...], key: tuple[str, ...]) -> Template | None:
    """For a key of one or two strings, by these names; None where anything is to be said against the condition."""
    given = dict(names)
    schema = KeySchema((KeyAttribute(key[0], "S"),), tuple([KeyAttribute(name, "S") for name in key[1:]]))
    try:
        check_placeholders(given or None, None)
        program = program_of(text, given, KIND)
        conditions = {
            term.attribute: KeyCondition(
                term.attribute,
                term.operator,
                tuple([{"S": placeholder} for placeholder in term.placeholders]),
            )
            for term in _terms_of(text, given)
        }
        check_all_used(given or None, None, program.used_names, program.used_values)
        found = range_of(conditions, schema)
    except ServiceError:
        return None
    operands = tuple([operand["S"] for operand in found.operands])
    return Template(found.partition[0]["S"], found.operator, operands, program.used_values, program.checks)


def _terms_of(text: str, names: Mapping[str, str]) -> tuple[_Term, ...]:
    tree = tree_of(text, KIND)
    key = names_key(tree, names)
    if sum([len(name) for name in key if name is not None]) > EXPRESSION_BYTES_MAX:
        return _terms.__wrapped__(text, key)  # As for programs: such names are not kept.
    return _terms(text, key)


@lru_cache(maxsize=PROGRAMS_KEPT)
def _terms(text: str, key: tuple[str | None, ...]) -> tuple[_Term, ...]:
    tree = tree_of(text, KIND)
    assert tree.condition is not None
    names = names_of(tree, key)
    terms = tuple(_term(node, names) for node in _conjuncts(tree.condition))
    if len({term.attribute for term in terms}) < len(terms):
        raise validation("KeyConditionExpressions must only contain one condition per key")
    return terms


def _conjuncts(node: Condition) -> list[Condition]:
    """The conditions joined by AND, in any nesting; no other operator may join them."""
    found: list[Condition] = []
    waiting = [node]
    while waiting:
        node = waiting.pop()
        match node:
            case And(terms):
                waiting.extend(reversed(terms))
            case Or():
                _refuse("OR")
            case Not():
                _refuse("NOT")
            case In():
                _refuse("IN")
            case Comparison("<>"):
                _refuse("<>")
            case Call(name) if name != "begins_with":
                _refuse(name)
            case _:
                found.append(node)
    return found


def _refuse(operator: str) -> NoReturn:
    raise validation(f"Invalid operator used in KeyConditionExpression: {operator}")


def _term(node: Condition, names: Mapping[str, str]) -> _Term:
    match node:
        case Comparison(operator, left, right):
            if isinstance(left, Value):
                return _on_attribute(FLIPPED[operator], (right, left), names)
            return _on_attribute(operator, (left, right), names)
        case Between(operand, low, high):
            return _on_attribute("BETWEEN", (operand, low, high), names)
        case Call(name, arguments):
            return _on_attribute(name, arguments, names)
    raise AssertionError(node)


def _on_attribute(operator: str, operands: tuple[Operand, ...], names: Mapping[str, str]) -> _Term:
    if any(isinstance(operand, Call) for operand in operands):
        raise validation("KeyConditionExpressions cannot contain nested operations")
    first, *rest = operands
    if not isinstance(first, Path):
        if operator in ("BETWEEN", "begins_with"):
            raise _malformed(f"{operator} operator must have the key attribute as its first operand")
        raise _malformed("No key attribute specified")
    if any(isinstance(operand, Path) for operand in rest):
        raise _malformed("Multiple attribute names used in one condition")
    path = resolve(first, names, KIND)
    if len(path) > 1:
        raise validation("KeyConditionExpressions cannot have conditions on nested attributes")
    placeholders = tuple(operand.placeholder for operand in rest if isinstance(operand, Value))
    return _Term(str(path[0]), operator, placeholders)


def _malformed(message: str) -> ServiceError:
    return validation(f"Invalid condition in KeyConditionExpression: {message}")


def range_of(
    conditions: Mapping[str, KeyCondition],
    schema: KeySchema,
    used_names: frozenset[str] = frozenset(),
    used_values: frozenset[str] = frozenset(),
) -> KeyRange:
    """Also of the legacy KeyConditions. `conditions`: by attribute name."""
    partition: list[AttributeValue] = []
    for attribute in schema.partition:
        condition = conditions.get(attribute.name)
        if condition is None:
            raise missed(attribute.name)
        if condition.operator != "=":
            raise not_supported()
        partition.append(condition.operands[0])
    ranged = _sort_conditions(conditions, schema)
    used = schema.partition + schema.sort[: len(ranged)]
    for attribute in used:
        _check_operands(attribute, conditions[attribute.name].operands)
    if not ranged:
        return KeyRange(tuple(partition), (), None, (), used_names, used_values)
    *equal, last = ranged
    return KeyRange(
        tuple(partition),
        tuple(condition.operands[0] for condition in equal),
        last.operator,
        last.operands,
        used_names,
        used_values,
    )


def _sort_conditions(conditions: Mapping[str, KeyCondition], schema: KeySchema) -> list[KeyCondition]:
    """Those on sort attributes, of which there may be no other and none missing in between."""
    count = len(conditions) - len(schema.partition)
    if count > len(schema.sort):
        raise not_supported()
    ranged: list[KeyCondition] = []
    for attribute in schema.sort[:count]:
        condition = conditions.get(attribute.name)
        if condition is None:
            raise missed(attribute.name)
        if ranged and ranged[-1].operator != "=":
            raise not_supported()
        ranged.append(condition)
    return ranged


def missed(attribute: str) -> ServiceError:
    return validation(f"Query condition missed key schema element: {attribute}")


def not_supported() -> ServiceError:
    return validation("Query key condition not supported")


def _check_operands(attribute: KeyAttribute, operands: tuple[AttributeValue, ...]) -> None:
    for operand in operands:
        if attribute.type not in operand:
            raise invalid_parameter("Condition parameter type does not match schema type")
        if operand.get("S") == "" or operand.get("B") == "":
            kind = "string" if attribute.type == "S" else "binary"
            raise validation(
                "One or more parameter values are not valid. The AttributeValue for a key attribute "
                f"cannot contain an empty {kind} value. Key: {attribute.name}"
            )
