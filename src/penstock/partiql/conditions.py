"""A WHERE clause with its parameters bound: a tree of conditions that DynamoDB's own expressions can say.

C1. An operand is a Path, the size of one, or a value. What PartiQL can write and DynamoDB cannot compare (arithmetic,
    other functions) is refused here, and so is an operand whose type its operator never takes: before any table is
    looked up.
C2. A condition can be compared as the boolean that it is: attribute_exists(a) = false. That is rewritten into AND, OR
    and NOT. The rewriting may double a condition, so its result is bounded by CONDITIONS_MAX.
C3. IS MISSING is about the attribute's presence; IS NULL and the other types are about the type of what is stored, so
    that a missing attribute IS NOT NULL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from penstock.errors import validation
from penstock.model.values import AttributeValue
from penstock.partiql import syntax, wording
from penstock.partiql.syntax import Expression, Path

CONDITIONS_MAX = 1000  # Ours: far above what DynamoDB evaluates (limits.EXPRESSION_OPERATORS_MAX).

_ORDERED_TYPES = frozenset(["S", "N", "B"])
_TYPE_OF_IS = {
    "NULL": "NULL",
    "BOOLEAN": "BOOL",
    "BOOL": "BOOL",
    "BLOB": "B",
    "STRING": "S",
    "NUMERIC": "N",
    "STRUCT": "M",
    "TUPLE": "M",
    "LIST": "L",
}
_TYPE_CODES = ("B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M")


@dataclass(frozen=True, slots=True)
class Value:
    value: AttributeValue

    @property
    def type(self) -> str:
        return next(iter(self.value))


@dataclass(frozen=True, slots=True)
class Size:
    path: Path


Operand: TypeAlias = Path | Size | Value


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Range:
    subject: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class Choice:
    subject: Operand
    choices: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """A function that is true or false: attribute_exists, attribute_type, begins_with, contains."""

    function: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    part: Condition


@dataclass(frozen=True, slots=True)
class Every:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    parts: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Range | Choice | Test | Negation | Every | Some


def every(parts: Sequence[Condition]) -> Condition:
    """All of them, with no Every inside an Every."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Every) else (part,))]
    return flat[0] if len(flat) == 1 else Every(tuple(flat))


def some(parts: Sequence[Condition]) -> Condition:
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Some) else (part,))]
    return flat[0] if len(flat) == 1 else Some(tuple(flat))


def negation(part: Condition) -> Condition:
    return part.part if isinstance(part, Negation) else Negation(part)


def conjuncts(condition: Condition | None) -> tuple[Condition, ...]:
    """The conditions that must all hold."""
    if condition is None:
        return ()
    return condition.parts if isinstance(condition, Every) else (condition,)


def attributes(condition: Condition) -> Iterator[str]:
    """The attributes that a condition reads, in the order of the text, perhaps more than once."""
    match condition:
        case Every(parts) | Some(parts):
            for part in parts:
                yield from attributes(part)
        case Negation(part):
            yield from attributes(part)
        case _:
            for operand in operands(condition):
                if isinstance(operand, Path):
                    yield operand.root
                elif isinstance(operand, Size):
                    yield operand.path.root


def operands(condition: Condition) -> tuple[Operand, ...]:
    match condition:
        case Comparison(_, left, right):
            return left, right
        case Range(subject, low, high):
            return subject, low, high
        case Choice(subject, choices):
            return subject, *choices
        case Test(_, those):
            return those
        case _:
            return ()


class Binder:
    """Parameters into expressions."""

    def __init__(self, parameters: Sequence[AttributeValue]) -> None:
        self._parameters = parameters

    def value(self, expression: Expression) -> AttributeValue | None:
        """The value of a literal or parameter; None for anything else."""
        if isinstance(expression, syntax.Literal):
            return expression.value
        if isinstance(expression, syntax.Parameter):
            return self._parameters[expression.index]
        return None

    def condition(self, expression: Expression) -> Condition:
        match expression:
            case syntax.And(parts):
                return every([self.condition(part) for part in parts])
            case syntax.Or(parts):
                return some([self.condition(part) for part in parts])
            case syntax.Not(part):
                return negation(self.condition(part))
            case syntax.Compare(operator, left, right):
                return self._compare(operator, left, right)
            case syntax.Between(subject, low, high):
                if _is_condition(subject):
                    raise wording.incorrect_operand("BETWEEN", "BOOL")
                ends = self._ordered(low, "BETWEEN"), self._ordered(high, "BETWEEN")
                return Range(self._ordered(subject, "BETWEEN"), *ends)
            case syntax.In(subject, choices):
                return self._in(subject, choices)
            case syntax.Is(subject, type_name):
                return self._is(subject, type_name)
            case syntax.Call():
                return self._test(expression)
            case syntax.Arithmetic(operator, _, _):
                raise wording.unsupported_operator(operator)
            case _:
                value = self.value(expression)
                kind = "Path" if value is None else next(iter(value))
                raise validation(f"Unsupported token in expression: {kind}")

    def operand(self, expression: Expression) -> Operand:
        value = self.value(expression)
        if value is not None:
            return Value(value)
        match expression:
            case Path():
                return expression
            case syntax.Call("size", arguments, _):
                path = arguments[0] if len(arguments) == 1 else None
                if not isinstance(path, Path):
                    raise _wrong_arguments("size", arguments, self)
                return Size(path)
            case syntax.Arithmetic(operator, _, _):
                raise wording.unsupported_operator(operator)
            case syntax.Call(name, _, _):
                raise _no_function(name)
            case _:
                raise wording.incorrect_operand(type(expression).__name__, "BOOL")

    def _ordered(self, expression: Expression, operator: str) -> Operand:
        operand = self.operand(expression)
        if isinstance(operand, Value) and operand.type not in _ORDERED_TYPES:
            raise wording.incorrect_operand(operator, operand.type)
        return operand

    def _compare(self, operator: str, left: Expression, right: Expression) -> Condition:
        if _is_condition(left) or _is_condition(right):
            if operator not in ("=", "<>"):
                raise wording.incorrect_operand(operator, "BOOL")
            subject, other = (left, right) if _is_condition(left) else (right, left)
            same = self._same(self.condition(subject), other)
            return same if operator == "=" else negation(same)
        if operator in ("=", "<>"):
            return Comparison(operator, self.operand(left), self.operand(right))
        return Comparison(operator, self._ordered(left, operator), self._ordered(right, operator))

    def _same(self, condition: Condition, other: Expression) -> Condition:
        """See C2."""
        if _is_condition(other):
            return _both_or_neither(condition, self.condition(other))
        operand = self.operand(other)
        if isinstance(operand, Value):
            if operand.type != "BOOL":
                return every([condition, negation(condition)])  # Never holds, and evaluates like the rest.
            return condition if operand.value["BOOL"] else negation(condition)
        yes = Comparison("=", operand, Value({"BOOL": True}))
        no = Comparison("=", operand, Value({"BOOL": False}))
        _check_count(condition)
        return some([every([condition, yes]), every([negation(condition), no])])

    def _in(self, subject: Expression, choices: tuple[Expression, ...]) -> Condition:
        if not _is_condition(subject):
            return Choice(self.operand(subject), tuple(self.operand(choice) for choice in choices))
        condition = self.condition(subject)
        result = some([self._same(condition, choice) for choice in choices])
        _check_count(result)
        return result

    def _is(self, subject: Expression, type_name: str) -> Condition:
        if type_name != "MISSING" and type_name not in _TYPE_OF_IS:
            raise wording.unsupported_is_type(type_name)
        if not isinstance(subject, Path):
            raise wording.unsupported_operation("IsType")
        if type_name == "MISSING":
            return Test("attribute_not_exists", (subject,))
        return Test("attribute_type", (subject, Value({"S": _TYPE_OF_IS[type_name]})))

    def _test(self, call: syntax.Call) -> Condition:
        name, arguments = call.name, call.arguments
        if name in ("attribute_exists", "attribute_not_exists"):
            if len(arguments) != 1 or not isinstance(arguments[0], Path):
                raise _wrong_arguments(name, arguments, self)
            return Test(name, (arguments[0],))
        if name == "size":
            raise wording.incorrect_operand("WHERE", "N")
        if name not in ("begins_with", "contains", "attribute_type"):
            raise _no_function(name)
        if len(arguments) != 2:
            raise _wrong_arguments(name, arguments, self)
        subject, operand = self.operand(arguments[0]), self.operand(arguments[1])
        if name == "attribute_type":
            _check_type_name(operand)
        elif name == "begins_with" and isinstance(operand, Value) and operand.type not in ("S", "B"):
            raise wording.incorrect_operand(name, operand.type)
        return Test(name, (subject, operand))


def _is_condition(expression: Expression) -> bool:
    if isinstance(expression, syntax.Call):
        return expression.name != "size"
    return isinstance(expression, syntax.CONDITION_TYPES)


def _both_or_neither(one: Condition, other: Condition) -> Condition:
    _check_count(one)
    _check_count(other)
    return some([every([one, other]), every([negation(one), negation(other)])])


def _check_count(condition: Condition) -> None:
    """Raises where a condition that is about to be doubled is large already; see C2."""
    if _count(condition) > CONDITIONS_MAX // 2:
        raise validation(f"The expression contains too many operators; operator count: {CONDITIONS_MAX}")


def _count(condition: Condition) -> int:
    match condition:
        case Every(parts) | Some(parts):
            return 1 + sum(_count(part) for part in parts)
        case Negation(part):
            return 1 + _count(part)
        case _:
            return 1


def _check_type_name(operand: Operand) -> None:
    if not isinstance(operand, Value):
        return
    if operand.type != "S":
        raise wording.incorrect_operand("attribute_type", operand.type)
    if operand.value["S"] not in _TYPE_CODES:
        raise validation(
            f"Invalid attribute type name found; type: {operand.value['S']}, "
            f"valid types: {{{','.join(_TYPE_CODES)}}}"
        )


def _wrong_arguments(name: str, arguments: tuple[Expression, ...], binder: Binder) -> Exception:
    for argument in arguments:
        value = binder.value(argument)
        if value is not None and len(arguments) == 1:
            return wording.incorrect_operand(name, next(iter(value)))
    return validation(
        "Incorrect number of operands for operator or function; "
        f"operator or function: {name}, number of operands: {len(arguments)}"
    )


def _no_function(name: str) -> Exception:
    return validation(f"Invalid function name; function: {name}")
