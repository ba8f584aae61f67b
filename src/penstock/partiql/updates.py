"""SET and REMOVE of an UPDATE as one UpdateExpression.

U1. set_add and set_delete are the sections ADD and DELETE; their first argument must be the path that is set.
U2. Values are literals, parameters, paths, a sum or difference of two of these, or list_append.
"""

from __future__ import annotations

from penstock.errors import validation
from penstock.partiql import syntax, wording
from penstock.partiql.conditions import Binder
from penstock.partiql.rendering import Placeholders
from penstock.partiql.syntax import Assignment, Call, Expression, Path

_SET_TYPES = frozenset(["SS", "NS", "BS"])
_SECTIONS = ("SET", "REMOVE", "ADD", "DELETE")
_SET_FUNCTIONS = {"set_add": "ADD", "set_delete": "DELETE"}


def check_assignments(assignments: tuple[Assignment, ...], binder: Binder) -> None:
    """What is wrong with an update whatever the table is: AWS says so before it looks the table up."""
    update_expression(assignments, binder, Placeholders())


def update_expression(assignments: tuple[Assignment, ...], binder: Binder, placeholders: Placeholders) -> str:
    sections: dict[str, list[str]] = {}
    for assignment in assignments:
        section, action = _action(assignment, binder, placeholders)
        sections.setdefault(section, []).append(action)
    return " ".join(f"{name} {', '.join(sections[name])}" for name in _SECTIONS if name in sections)


def _action(assignment: Assignment, binder: Binder, placeholders: Placeholders) -> tuple[str, str]:
    path, value = assignment.path, assignment.value
    if value is None:
        return "REMOVE", placeholders.path(path)
    if isinstance(value, Call) and value.name in _SET_FUNCTIONS:
        return _SET_FUNCTIONS[value.name], _set_action(path, value, binder, placeholders)
    target = placeholders.path(path)
    if isinstance(value, syntax.Arithmetic):
        return "SET", f"{target} = {_sum(value, binder, placeholders)}"
    return "SET", f"{target} = {_operand(value, binder, placeholders)}"


def _sum(value: syntax.Arithmetic, binder: Binder, placeholders: Placeholders) -> str:
    operator, left, right = value.operator, value.left, value.right
    if operator not in ("+", "-") or right is None:
        raise validation(f"Unsupported operator in Update Expression. Operator: {operator}")
    for side in (left, right):
        bound = binder.value(side)
        if bound is not None and "N" not in bound:
            raise wording.incorrect_operand(operator, next(iter(bound)))
    return f"{_operand(left, binder, placeholders)} {operator} {_operand(right, binder, placeholders)}"


def _operand(expression: Expression, binder: Binder, placeholders: Placeholders) -> str:
    value = binder.value(expression)
    if value is not None:
        return placeholders.value(value)
    match expression:
        case Path():
            return placeholders.path(expression)
        case Call("list_append", (first, second), _):
            for side in (first, second):
                bound = binder.value(side)
                if bound is not None and "L" not in bound:
                    raise wording.incorrect_operand("list_append", next(iter(bound)))
            one, other = _operand(first, binder, placeholders), _operand(second, binder, placeholders)
            return f"list_append({one}, {other})"
        case Call("list_append", arguments, _):
            raise validation(
                "Incorrect number of operands for operator or function; "
                f"operator or function: list_append, number of operands: {len(arguments)}"
            )
        case Call(name, _, _):
            raise validation(f"Invalid function name; function: {name}")
        case syntax.Arithmetic(operator, _, _):
            raise validation(f"Unsupported operator in Update Expression. Operator: {operator}")
        case _:
            raise validation("Unsupported operator in Update Expression. Operator: =")


def _set_action(path: Path, call: Call, binder: Binder, placeholders: Placeholders) -> str:
    name = call.name.upper()
    if len(call.arguments) != 2:
        raise validation(
            "Incorrect number of operands for operator or function; "
            f"operator or function: {call.name}, number of operands: {len(call.arguments)}"
        )
    first, second = call.arguments
    if not isinstance(first, Path) or not first.same_as(path):
        raise validation(f"The first argument to {name} must equal the assignment value at {call.place}")
    value = binder.value(second)
    if value is None or next(iter(value)) not in _SET_TYPES:
        raise validation(f"The second argument to {name} must be a value with type SET at {first.place}")
    return f"{placeholders.path(path)} {placeholders.value(value)}"
