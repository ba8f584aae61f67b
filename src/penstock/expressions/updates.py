"""Updates: SET, REMOVE, ADD and DELETE on a copy of the item.

U1. Every right-hand side and every list index is of the item as it was. So the outcome of each action is
    computed first and all are written together, in one pass over a tree of their paths.
U2. The item given is never changed. Containers on the way to a change are copied, all else is shared.
U3. What can fail with an item fails in AWS's order: a path through a value of the wrong type; wrong types and
    numbers out of range; and then, from the last section to the first, a path that leads nowhere and an
    operand that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast

from penstock.errors import ServiceError, validation
from penstock.expressions.checks import Check, Findings, Values, check_update_text
from penstock.expressions.comparing import payload_of, type_of
from penstock.expressions.conditions import NO_VALUES, PROGRAMS_KEPT, Getter, getter
from penstock.expressions.parser import parse_update
from penstock.expressions.projections import PathTree, path_tree, project
from penstock.expressions.resolve import names_key, names_of, resolve
from penstock.expressions.syntax import (
    Action,
    Arithmetic,
    Call,
    DocumentPath,
    Operand,
    Path,
    Section,
    Tree,
    Value,
)
from penstock.limits import EXPRESSION_BYTES_MAX
from penstock.model import numbers
from penstock.model.values import AttributeValue, Item

KIND = "UpdateExpression"

# What an action comes to when it is not a new value. None: its operand is not in the item.
REMOVED: Final[Any] = object()
UNTOUCHED: Final[Any] = object()
Outcome: TypeAlias = Any
Compute: TypeAlias = Callable[[Item], Outcome]
Binder: TypeAlias = Callable[[Values], Compute]


WRONG_TYPE = "An operand in the update expression has an incorrect data type"


def missing_operand() -> ServiceError:
    return validation("The provided expression refers to an attribute that does not exist in the item")


def wrong_path() -> ServiceError:
    return validation("The document path provided in the update expression is invalid for update")


class _Place:
    """Where one action writes: the container that must be there, for paths that go into one."""

    __slots__ = ("container", "parent")

    def __init__(self, path: DocumentPath) -> None:
        self.parent: Getter | None = getter(path[:-1]) if len(path) > 1 else None
        self.container = "L" if isinstance(path[-1], int) else "M"


class Program:
    """An update before it has its values."""

    __slots__ = (
        "attributes",
        "binders",
        "checks",
        "creates",
        "flat",
        "nested",
        "operators",
        "paths",
        "places",
        "sections",
        "tree",
        "used_names",
        "used_values",
    )

    def __init__(self, tree: Tree, names: Mapping[str, str], wrong_type: str = WRONG_TYPE) -> None:
        actions = tuple(action for section in tree.sections for action in section.actions)
        findings = Findings(KIND, names)
        self.binders: list[Binder] = []
        self.paths: tuple[DocumentPath, ...] = ()
        try:
            findings.update(actions)
        except ServiceError as error:
            findings.later(error)
        else:
            self.paths = tuple(resolve(action.path, names, KIND) for action in actions)
            self.binders = [_build(action, names, wrong_type) for action in actions]
        self.checks: tuple[Check, ...] = tuple(findings.checks)
        self.used_names = frozenset(findings.used_names)
        self.used_values = frozenset(findings.used_values)
        self.attributes = frozenset(cast(str, path[0]) for path in self.paths)
        self.nested = frozenset(findings.nested)
        self.operators = tree.operators
        self.creates = any(section.keyword in ("SET", "ADD") for section in tree.sections)
        self.places = [_Place(path) for path in self.paths]
        self.sections = _ranges(tree.sections)
        self.flat = all(len(path) == 1 for path in self.paths)
        self.tree: PathTree = path_tree(self.paths)


def _ranges(sections: tuple[Section, ...]) -> list[range]:
    """The places of each section's actions among all."""
    ranges: list[range] = []
    start = 0
    for section in sections:
        ranges.append(range(start, start + len(section.actions)))
        start += len(section.actions)
    return ranges


class Update:
    """An update ready to be applied.

    `attributes`: those it writes; `nested`: all that its paths go into; `creates`: whether it makes an item
    where there is none. One that only takes away does not.
    """

    __slots__ = (
        "_computes",
        "_program",
        "attributes",
        "creates",
        "nested",
        "operators",
        "paths",
        "used_names",
        "used_values",
    )

    def __init__(self, program: Program, values: Values) -> None:
        for check in program.checks:
            check(values)
        self._program = program
        self._computes = [bind(values) for bind in program.binders]
        self.paths = program.paths
        self.attributes = program.attributes
        self.creates = program.creates
        self.nested = program.nested
        self.operators = program.operators
        self.used_names = program.used_names
        self.used_values = program.used_values

    def apply(self, item: Item) -> Item:
        program = self._program
        if program.flat:
            outcomes = [compute(item) for compute in self._computes]
            if None in outcomes:
                raise missing_operand()
            changed = item.copy()
            for path, outcome in zip(program.paths, outcomes, strict=True):
                _put(changed, path[0], outcome)
            return changed
        outcomes = self._checked_outcomes(item)
        return cast(Item, _write_map(item, program.tree, outcomes))

    def _checked_outcomes(self, item: Item) -> list[Outcome]:
        """The outcome of each action, or the first error in AWS's order: see U3."""
        program = self._program
        parents: list[Any] = []
        for place in program.places:
            parent = place.parent(item) if place.parent is not None else None
            if parent is not None and place.container not in parent:
                raise wrong_path()
            parents.append(parent)
        outcomes = [compute(item) for compute in self._computes]
        for section in reversed(program.sections):
            for index in section:
                if parents[index] is None and program.places[index].parent is not None:
                    raise wrong_path()
            for index in section:
                if outcomes[index] is None:
                    raise missing_operand()
        return outcomes


def compile_update(
    text: str, names: Mapping[str, str] | None, values: Mapping[str, AttributeValue] | None
) -> Update:
    return Update(_program_of(text, names or {}), values or NO_VALUES)


def update_of(
    sections: tuple[Section, ...], names: Mapping[str, str], values: Values, wrong_type: str
) -> Update:
    """An update that was never text: the legacy AttributeUpdates translates to this."""
    return Update(Program(Tree(0, (), None, sections), names, wrong_type), values)


def project_updated(update: Update, item: Item) -> Item:
    """What ReturnValues UPDATED_OLD (of the old item) and UPDATED_NEW (of the new one) answer."""
    return project(item, update._program.tree)


def _program_of(text: str, names: Mapping[str, str]) -> Program:
    tree = _tree(text)
    if not tree.placeholders:
        return _program(text, ())
    key = names_key(tree, names)
    if sum([len(name) for name in key if name is not None]) > EXPRESSION_BYTES_MAX:
        return Program(tree, names)  # As for conditions: a program with such names is not kept.
    return _program(text, key)


@lru_cache(maxsize=PROGRAMS_KEPT)
def _tree(text: str) -> Tree:
    tree = parse_update(text)
    check_update_text(tree.sections, KIND)
    return tree


@lru_cache(maxsize=PROGRAMS_KEPT)
def _program(text: str, key: tuple[str | None, ...]) -> Program:
    tree = _tree(text)
    return Program(tree, names_of(tree, key))


# Outcomes.


def _build(action: Action, names: Mapping[str, str], wrong_type: str) -> Binder:
    if action.value is None:
        return lambda values: _removed
    if action.section == "SET":
        return _build_value(action.value, names, wrong_type)
    get = getter(resolve(action.path, names, KIND))
    assert isinstance(action.value, Value)
    placeholder = action.value.placeholder
    if action.section == "ADD":
        return lambda values: _add(get, values[placeholder], wrong_type)
    return lambda values: _delete(get, values[placeholder], wrong_type)


def _removed(item: Item) -> Outcome:
    return REMOVED


def _build_value(value: Operand | Arithmetic, names: Mapping[str, str], wrong_type: str) -> Binder:
    match value:
        case Path():
            get = getter(resolve(value, names, KIND))
            return lambda values: get
        case Value(placeholder):
            return lambda values: _constant(values[placeholder])
        case Arithmetic(operator, left, right):
            compute = numbers.add if operator == "+" else numbers.subtract
            first = _build_value(left, names, wrong_type)
            second = _build_value(right, names, wrong_type)
            return lambda values: _arithmetic(compute, first(values), second(values), wrong_type)
        case Call("if_not_exists", (path, otherwise)):
            get_path = _build_value(path, names, wrong_type)
            get_other = _build_value(otherwise, names, wrong_type)
            return lambda values: _if_not_exists(get_path(values), get_other(values))
        case Call(_, (head, tail)):
            get_head = _build_value(head, names, wrong_type)
            get_tail = _build_value(tail, names, wrong_type)
            return lambda values: _list_append(get_head(values), get_tail(values), wrong_type)
    raise AssertionError(value)


def _constant(value: AttributeValue) -> Compute:
    return lambda item: value


def _arithmetic(
    operate: Callable[[str, str], str], left: Compute, right: Compute, wrong_type: str
) -> Compute:
    def compute(item: Item) -> Outcome:
        first = left(item)
        if first is None:
            return None
        if "N" not in first:
            raise validation(wrong_type)
        second = right(item)
        if second is None:
            return None
        if "N" not in second:
            raise validation(wrong_type)
        return {"N": operate(first["N"], second["N"])}

    return compute


def _if_not_exists(get: Compute, otherwise: Compute) -> Compute:
    def compute(item: Item) -> Outcome:
        value = get(item)
        return otherwise(item) if value is None else value

    return compute


def _list_append(head: Compute, tail: Compute, wrong_type: str) -> Compute:
    def compute(item: Item) -> Outcome:
        first = head(item)
        if first is None:
            return None
        if "L" not in first:
            raise validation(wrong_type)
        second = tail(item)
        if second is None:
            return None
        if "L" not in second:
            raise validation(wrong_type)
        return {"L": first["L"] + second["L"]}

    return compute


def _add(get: Getter, operand: AttributeValue, wrong_type: str) -> Compute:
    """A number to a number, members to a set; to nothing, it is the value itself."""
    kind = type_of(operand)
    members: Any = payload_of(operand)

    def compute(item: Item) -> Outcome:
        value: Any = get(item)
        if value is None:
            return operand
        if kind not in value:
            raise validation(wrong_type)
        if kind == "N":
            return {"N": numbers.add(value["N"], members)}
        present = set(value[kind])
        return {kind: value[kind] + [member for member in members if member not in present]}

    return compute


def _delete(get: Getter, operand: AttributeValue, wrong_type: str) -> Compute:
    """Members from a set. A set without members does not exist, so the attribute goes with the last."""
    kind = type_of(operand)
    members = set(payload_of(operand))

    def compute(item: Item) -> Outcome:
        value: Any = get(item)
        if value is None:
            return UNTOUCHED
        if kind not in value:
            raise validation(wrong_type)
        left = [member for member in value[kind] if member not in members]
        return {kind: left} if left else REMOVED

    return compute


# Writing.


def _put(members: Any, name: Any, outcome: Outcome) -> None:
    if outcome is REMOVED:
        members.pop(name, None)
    elif outcome is not UNTOUCHED:
        members[name] = outcome


def _write_map(members: Any, tree: PathTree, outcomes: list[Outcome]) -> Any:
    changed = members.copy()
    for name, child in tree.items():
        if isinstance(child, int):
            _put(changed, name, outcomes[child])
        else:
            changed[name] = _write_value(changed[name], child, outcomes)
    return changed


def _write_value(value: Any, tree: PathTree, outcomes: list[Outcome]) -> Any:
    if "M" in value:
        return {"M": _write_map(value["M"], tree, outcomes)}
    return {"L": _write_list(value["L"], tree, outcomes)}


def _write_list(elements: Any, tree: PathTree, outcomes: list[Outcome]) -> Any:
    """Elements past the end are appended in the order of their indexes, without the gap."""
    changed = list(elements)
    for index in sorted(tree, key=int):
        place, child = cast(int, index), tree[index]
        inside = place < len(elements)
        if not isinstance(child, int):
            changed[place] = _write_value(elements[place], child, outcomes)
        elif inside:
            outcome = outcomes[child]
            changed[place] = elements[place] if outcome is UNTOUCHED else outcome
        elif outcomes[child] is not REMOVED and outcomes[child] is not UNTOUCHED:
            changed.append(outcomes[child])
    return [element for element in changed if element is not REMOVED]
