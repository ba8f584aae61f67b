"""What can be wrong with an expression before any item is seen, found in the order in which AWS finds it.

1. Once per text: reserved words, list indexes, the names of functions, where they stand, how many operands.
2. Once per text and names, and where it needs the values once per request: placeholders, operands that must
   differ, operand types, bounds of BETWEEN, paths that overlap.

AWS walks the tree once for the second part, so that an undefined :value on the left is found before an
undefined #name on the right. `Findings` therefore collects checks, to be run in that order when the values
are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, TypeAlias

from penstock.errors import ServiceError, validation
from penstock.expressions.comparing import ORDERED_TYPES, SET_TYPES, order_key, payload_of, type_of
from penstock.expressions.reserved import RESERVED_WORDS
from penstock.expressions.resolve import resolve
from penstock.expressions.syntax import (
    Action,
    And,
    Arithmetic,
    Between,
    Call,
    Comparison,
    Condition,
    DocumentPath,
    In,
    Not,
    Operand,
    Or,
    Path,
    Section,
    Value,
    path_text,
)
from penstock.limits import EXPRESSION_OPERANDS_IN_MAX
from penstock.model.values import AttributeValue

Values: TypeAlias = Mapping[str, AttributeValue]
Check: TypeAlias = Callable[[Values], None]

TESTS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
}
OPERAND_FUNCTIONS = {"size": 1}
UPDATE_FUNCTIONS = {"if_not_exists": 2, "list_append": 2}
ALL_FUNCTIONS = {**TESTS, **OPERAND_FUNCTIONS, **UPDATE_FUNCTIONS}
PATH_FIRST = frozenset(["attribute_exists", "attribute_not_exists", "attribute_type", "if_not_exists"])

LIST_INDEX_MAX = 2**31 - 1
TYPE_NAMES = "{N,BS,L,B,NULL,M,S,SS,NS,BOOL}"  # In AWS's order, which has no meaning.
ALL_TYPES = frozenset(["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"])
SIZED_TYPES = ALL_TYPES - {"N", "BOOL", "NULL"}
TEXT_TYPES = frozenset(["S", "B"])
NUMBER_TYPE = frozenset(["N"])
LIST_TYPE = frozenset(["L"])
LONG_TYPE_NAMES = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "BOOL": "BOOLEAN",
    "NULL": "NULL",
    "SS": "STRING_SET",
    "NS": "NUMBER_SET",
    "BS": "BINARY_SET",
    "L": "LIST",
    "M": "MAP",
}


def invalid(kind: str, message: str) -> ServiceError:
    return validation(f"Invalid {kind}: {message}")


# Part 1: the text alone.


def check_condition_text(node: Condition, kind: str) -> None:
    match node:
        case And(terms) | Or(terms):
            for term in terms:
                check_condition_text(term, kind)
        case Not(term):
            check_condition_text(term, kind)
        case Comparison(_, left, right):
            check_operands_text((left, right), kind)
        case Between(operand, low, high):
            check_operands_text((operand, low, high), kind)
        case In(operand, candidates):
            check_operands_text((operand, *candidates), kind)
        case Call():
            _check_function(node, kind, TESTS)
            check_operands_text(node.arguments, kind)


def check_operands_text(operands: tuple[Operand, ...], kind: str) -> None:
    """Left to right, a function before its operands. The loop is a stack because size(size(...)) has no end."""
    waiting = list(reversed(operands))
    while waiting:
        operand = waiting.pop()
        if isinstance(operand, Path):
            check_path_text(operand, kind)
        elif isinstance(operand, Call):
            _check_function(operand, kind, OPERAND_FUNCTIONS)
            waiting.extend(reversed(operand.arguments))


def _check_function(call: Call, kind: str, fitting: Mapping[str, int]) -> None:
    name = call.name
    if name not in ALL_FUNCTIONS:
        raise invalid(kind, f"Invalid function name; function: {name}")
    if name in UPDATE_FUNCTIONS:
        raise invalid(kind, f"The function is not allowed in a condition expression; function: {name}")
    if name not in fitting:
        raise invalid(
            kind, f"The function is not allowed to be used this way in an expression; function: {name}"
        )
    _check_arity(call, kind)


def _check_arity(call: Call, kind: str) -> None:
    if len(call.arguments) != ALL_FUNCTIONS[call.name]:
        raise invalid(
            kind,
            "Incorrect number of operands for operator or function; operator or function: "
            f"{call.name}, number of operands: {len(call.arguments)}",
        )


def check_path_text(path: Path, kind: str) -> None:
    for part in path.parts:
        if isinstance(part, int):
            if part > LIST_INDEX_MAX:
                raise invalid(kind, f"List index is not within the allowable range; index: [{part}]")
        elif part[0] != "#" and part.upper() in RESERVED_WORDS:
            raise invalid(kind, f"Attribute name is a reserved keyword; reserved keyword: {part}")


def check_update_text(sections: tuple[Section, ...], kind: str) -> None:
    """Section by section in the order in which each first appears; then whether it appears again."""
    for keyword in dict.fromkeys(section.keyword for section in sections):
        same = [section for section in sections if section.keyword == keyword]
        for section in same:
            for action in section.actions:
                check_path_text(action.path, kind)
                _check_value_text(action.value, kind)
        if len(same) > 1:
            raise invalid(kind, f'The "{keyword}" section can only be used once in an update expression;')


def _check_value_text(value: Operand | Arithmetic | None, kind: str) -> None:
    match value:
        case Path():
            check_path_text(value, kind)
        case Arithmetic(_, left, right):
            _check_value_text(left, kind)
            _check_value_text(right, kind)
        case Call(name, arguments):
            if name not in ALL_FUNCTIONS:
                raise invalid(kind, f"Invalid function name; function: {name}")
            if name not in UPDATE_FUNCTIONS:
                raise invalid(kind, f"The function is not allowed in an update expression; function: {name}")
            for argument in arguments:
                _check_value_text(argument, kind)


# Part 2: with names and values.


def check_scalar_keys(nested: frozenset[str], keys: Iterable[str]) -> None:
    """No path goes into a key attribute. `nested` as a compiled expression has it."""
    for name in keys:
        if name in nested:
            raise validation(
                "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "
                f"Key: {name}"
            )


class Findings:
    """What one expression reads, and the checks that wait for its values."""

    def __init__(self, kind: str, names: Mapping[str, str]) -> None:
        self.kind = kind
        self.names = names
        self.checks: list[Check] = []
        self.used_names: set[str] = set()
        self.used_values: set[str] = set()
        self.attributes: set[str] = set()
        self.nested: set[str] = set()  # Attributes that a path goes into, which no key attribute allows.

    def fail(self, message: str) -> NoReturn:
        raise invalid(self.kind, message)

    def later(self, error: ServiceError) -> None:
        """An error that names alone decide, put in its place among those that wait for values."""
        message = error.message or ""

        def check(values: Values) -> None:
            raise validation(message)

        self.checks.append(check)

    def path(self, path: Path) -> DocumentPath:
        resolved = resolve(path, self.names, self.kind)
        self.used_names.update(part for part in path.parts if isinstance(part, str) and part[0] == "#")
        head = resolved[0]
        assert isinstance(head, str)
        self.attributes.add(head)
        if len(resolved) > 1:
            self.nested.add(head)
        return resolved

    def visit(self, operand: Operand) -> None:
        if isinstance(operand, Path):
            self.path(operand)
        elif isinstance(operand, Value):
            self.used_values.add(operand.placeholder)
            self.checks.append(_defined(operand.placeholder, self.kind))
        else:
            if operand.name in UPDATE_FUNCTIONS:
                _check_arity(operand, self.kind)
            for argument in operand.arguments:
                self.visit(argument)
            self._visited(operand)

    def _visited(self, call: Call) -> None:
        """A function whose operands are known to be defined."""
        name = call.name
        first = call.arguments[0]
        if name in PATH_FIRST and not isinstance(first, Path):
            self.fail(f"Operator or function requires a document path; operator or function: {name}")
        if name not in ("size", "list_append"):
            self.distinct(name, first, call.arguments[1:])
        if name == "size":
            self.require(name, first, SIZED_TYPES)
        elif name == "begins_with":
            for argument in call.arguments:
                self.require(name, argument, TEXT_TYPES)
        elif name == "list_append":
            for argument in call.arguments:
                self.require(name, argument, LIST_TYPE)
        elif name == "attribute_type":
            self._type_name(call.arguments[1])

    def _type_name(self, operand: Operand) -> None:
        if not isinstance(operand, Value):
            found = "N" if isinstance(operand, Call) else "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
            self.fail(_wrong_type("attribute_type", found))
        placeholder, kind = operand.placeholder, self.kind

        def check(values: Values) -> None:
            value = values[placeholder]
            if "S" not in value:
                raise invalid(kind, _wrong_type("attribute_type", type_of(value)))
            if value["S"] not in ALL_TYPES:
                raise invalid(
                    kind,
                    f"Invalid attribute type name found; type: {value['S']}, valid types: {TYPE_NAMES}",
                )

        self.checks.append(check)

    def distinct(self, name: str, first: Operand, rest: tuple[Operand, ...]) -> None:
        if not isinstance(first, Path):
            return
        path = self.path(first)
        for operand in rest:
            if isinstance(operand, Path) and self.path(operand) == path:
                self.fail(
                    "The first operand must be distinct from the remaining operands for this operator or "
                    f"function; operator: {name}, first operand: {path_text(path)}"
                )

    def require(self, name: str, operand: Operand, types: frozenset[str]) -> None:
        """The operand's type, where it is known without an item."""
        if isinstance(operand, Call):
            known = {"size": "N", "list_append": "L"}.get(operand.name)
            if known is not None and known not in types:
                self.fail(_wrong_type(name, known))
        elif isinstance(operand, Value):
            self.checks.append(_of_type(operand.placeholder, types, self.kind, name))

    def condition(self, node: Condition) -> None:
        match node:
            case And(terms) | Or(terms):
                for term in terms:
                    self.condition(term)
            case Not(term):
                self.condition(term)
            case Comparison(operator, left, right):
                self.visit(left)
                self.visit(right)
                self.distinct(operator, left, (right,))
                if operator not in ("=", "<>"):
                    self.require(operator, left, ORDERED_TYPES)
                    self.require(operator, right, ORDERED_TYPES)
            case Between(operand, low, high):
                for each in (operand, low, high):
                    self.visit(each)
                self.distinct("BETWEEN", operand, (low, high))
                for each in (operand, low, high):
                    self.require("BETWEEN", each, ORDERED_TYPES)
                if isinstance(low, Value) and isinstance(high, Value):
                    self.checks.append(_bounds(low.placeholder, high.placeholder, self.kind))
            case In(operand, candidates):
                for each in (operand, *candidates):
                    self.visit(each)
                if len(candidates) > EXPRESSION_OPERANDS_IN_MAX:
                    self.fail(
                        "The IN operator is provided with too many operands; number of operands: "
                        f"{len(candidates)}"
                    )
                self.distinct("IN", operand, candidates)
            case Call():
                self.visit(node)

    def update(self, actions: tuple[Action, ...]) -> None:
        """Where it writes; then every #name and then every value, each from the last action to the first."""
        check_overlaps([self.path(action.path) for action in actions], self.kind)
        for action in reversed(actions):
            self._names_in(action.value)
        for action in reversed(actions):
            value = action.value
            if isinstance(value, Arithmetic):
                self.visit(value.left)
                self.visit(value.right)
                self.require(value.operator, value.left, NUMBER_TYPE)
                self.require(value.operator, value.right, NUMBER_TYPE)
            elif value is not None:
                self.visit(value)
                if isinstance(value, Value) and action.section != "SET":
                    self.checks.append(_set_operand(value.placeholder, action.section, self.kind))

    def _names_in(self, value: Operand | Arithmetic | None) -> None:
        match value:
            case Path():
                self.path(value)
            case Arithmetic(_, left, right):
                self._names_in(left)
                self._names_in(right)
            case Call(_, arguments):
                for argument in arguments:
                    self._names_in(argument)


def _wrong_type(name: str, found: str) -> str:
    return (
        "Incorrect operand type for operator or function; operator or function: "
        f"{name}, operand type: {found}"
    )


def _defined(placeholder: str, kind: str) -> Check:
    def check(values: Values) -> None:
        if placeholder not in values:
            raise invalid(
                kind,
                "An expression attribute value used in expression is not defined; "
                f"attribute value: {placeholder}",
            )

    return check


def _of_type(placeholder: str, types: frozenset[str], kind: str, name: str) -> Check:
    def check(values: Values) -> None:
        found = type_of(values[placeholder])
        if found not in types:
            raise invalid(kind, _wrong_type(name, found))

    return check


def _set_operand(placeholder: str, section: str, kind: str) -> Check:
    """ADD takes a number or a set, DELETE a set. AWS words this one differently from the rest."""
    types = SET_TYPES | NUMBER_TYPE if section == "ADD" else SET_TYPES

    def check(values: Values) -> None:
        found = type_of(values[placeholder])
        if found not in types:
            raise invalid(
                kind,
                f"Incorrect operand type for operator or function; operator: {section}, "
                f"operand type: {LONG_TYPE_NAMES[found]}, typeSet: ALLOWED_FOR_{section}_OPERAND",
            )

    return check


def _bounds(low: str, high: str, kind: str) -> Check:
    def check(values: Values) -> None:
        check_bounds(values[low], values[high], kind)

    return check


def check_bounds(low: AttributeValue, high: AttributeValue, kind: str) -> None:
    problem = bounds_problem(low, high)
    if problem is not None:
        raise invalid(kind, f"The BETWEEN operator requires {problem}")


def bounds_problem(low: AttributeValue, high: AttributeValue) -> str | None:
    """What AWS says of bounds of two types or in the wrong order, after the operator's name."""
    low_type, high_type = type_of(low), type_of(high)
    if low_type != high_type:
        rule = "same data type for lower and upper bounds"
    elif order_key(low_type, payload_of(low)) > order_key(high_type, payload_of(high)):
        rule = "upper bound to be greater than or equal to lower bound"
    else:
        return None
    return f"{rule}; lower bound operand: {_bound_text(low)}, upper bound operand: {_bound_text(high)}"


def _bound_text(value: AttributeValue) -> str:
    kind, payload = type_of(value), payload_of(value)
    if kind == "B":
        size = len(order_key("B", payload))
        payload = f"java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]"
    return f"AttributeValue: {{{kind}:{payload}}}"


def check_overlaps(paths: list[DocumentPath], kind: str) -> None:
    """No path may be another, or lead into it, or use as a list what another uses as a map.

    The paths go into a tree: the work grows with their length, not with the square of their number.
    """
    tree: dict[str | int, object] = {}
    for index, path in enumerate(paths):
        node = tree
        for depth, part in enumerate(path):
            if node and depth and isinstance(next(iter(node)), int) != isinstance(part, int):
                _raise_clash("conflict", paths, index, depth, kind)
            child = node.get(part)
            last = depth == len(path) - 1
            if child is None:
                if last:
                    node[part] = index
                    break
                child = node[part] = {}
            elif last or isinstance(child, int):
                _raise_clash("overlap", paths, index, depth + 1, kind)
            assert isinstance(child, dict)
            node = child


def _raise_clash(clash: str, paths: list[DocumentPath], index: int, shared: int, kind: str) -> NoReturn:
    """`shared`: how many parts the path has in common with the earlier one that it clashes with."""
    path = paths[index]
    other = next(earlier for earlier in paths[:index] if earlier[:shared] == path[:shared])
    raise invalid(
        kind,
        f"Two document paths {clash} with each other; must remove or rewrite one of these paths; "
        f"path one: {path_text(other)}, path two: {path_text(path)}",
    )
