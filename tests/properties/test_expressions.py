"""Expressions against slow references that share no code with them, and against nonsense."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penstock.errors import ServiceError
from penstock.expressions.conditions import compile_condition
from penstock.expressions.key_ranges import compile_key_condition
from penstock.expressions.parser import parse_condition
from penstock.expressions.projections import compile_projection
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
    path_text,
)
from penstock.expressions.updates import compile_update
from penstock.model.tables import KeyAttribute, KeySchema
from penstock.model.values import AttributeValue, Item

# Items: few names and few values, so that paths often hit and operands are often equal.

NUMBERS = ("-1", "0", "0.5", "2", "10")
TEXTS = ("", "a", "ab", "b", "é", "𝄞")
BYTES = tuple(base64.b64encode(raw).decode() for raw in (b"", b"a", b"ab", b"\xff"))
ATTRIBUTES = ("aa", "bb", "cc")
SETS = {"SS", "NS", "BS"}

scalars: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(TEXTS).map(lambda text: {"S": text}),
    st.sampled_from(NUMBERS).map(lambda text: {"N": text}),
    st.sampled_from(BYTES).map(lambda text: {"B": text}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
)
sets: st.SearchStrategy[Any] = st.one_of(
    st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3, unique=True).map(
        lambda members: {"SS": members}
    ),
    st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3, unique=True).map(
        lambda members: {"NS": members}
    ),
    st.lists(st.sampled_from(BYTES), min_size=1, max_size=3, unique=True).map(
        lambda members: {"BS": members}
    ),
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars | sets,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda members: {"L": members}),
        st.dictionaries(st.sampled_from(ATTRIBUTES), inner, max_size=3).map(lambda members: {"M": members}),
    ),
    max_leaves=6,
)
items: st.SearchStrategy[Any] = st.dictionaries(st.sampled_from(ATTRIBUTES), values, max_size=3)
parts: st.SearchStrategy[Any] = st.sampled_from(ATTRIBUTES) | st.integers(0, 3)


def refusal(act: Callable[[], object]) -> ServiceError | None:
    """The error that AWS would answer with. Any other passes through and fails the test."""
    try:
        act()
    except ServiceError as error:
        return error
    return None


def paths(longest: int = 3) -> st.SearchStrategy[tuple[str | int, ...]]:
    return st.tuples(st.sampled_from(ATTRIBUTES), st.lists(parts, max_size=longest - 1)).map(
        lambda both: (both[0], *both[1])
    )


def path_source(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]


# Printed and read again.

operands: st.SearchStrategy[Operand] = st.recursive(
    st.one_of(
        paths().map(Path),
        st.sampled_from((":x", ":y_1", ":Z")).map(Value),
        st.sampled_from(("#n", "#0")).map(lambda name: Path((name, "aa", 1))),
    ),
    lambda inner: st.builds(Call, st.just("size"), st.tuples(inner)),
    max_leaves=3,
)
tests: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Comparison, st.sampled_from(("=", "<>", "<", "<=", ">", ">=")), operands, operands),
    st.builds(Between, operands, operands, operands),
    st.builds(In, operands, st.lists(operands, min_size=1, max_size=3).map(tuple)),
    st.builds(Call, st.just("begins_with"), st.tuples(operands, operands)),
)
trees: st.SearchStrategy[Condition] = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=8,
)


def operand_source(operand: Operand) -> str:
    if isinstance(operand, Path):
        return path_source(operand.parts)
    if isinstance(operand, Value):
        return operand.placeholder
    return f"{operand.name}({', '.join(map(operand_source, operand.arguments))})"


def source(node: Condition) -> str:
    """With parentheses around every term that is not a plain test: enough of them and never two."""
    match node:
        case Comparison(operator, left, right):
            return f"{operand_source(left)} {operator} {operand_source(right)}"
        case Between(operand, low, high):
            return f"{operand_source(operand)} BETWEEN {operand_source(low)} AND {operand_source(high)}"
        case In(operand, candidates):
            return f"{operand_source(operand)} IN ({', '.join(map(operand_source, candidates))})"
        case Call():
            return operand_source(node)
        case Not(term):
            return f"NOT {_grouped(term)}"
        case And(terms):
            return " AND ".join(map(_grouped, terms))
        case Or(terms):
            return " OR ".join(map(_grouped, terms))


def _grouped(node: Condition) -> str:
    return f"({source(node)})" if isinstance(node, And | Or | Not) else source(node)


@given(trees)
def test_a_condition_printed_and_read_again_is_the_same_tree(tree: Condition) -> None:
    assert parse_condition(source(tree), "ConditionExpression").condition == tree


# Conditions against a reference that converts every value to Python and looks at nothing twice.

Plain: TypeAlias = tuple[str, Any]


def plain(value: AttributeValue) -> Plain:
    """A value as its type and something that Python compares as DynamoDB does."""
    ((kind, payload),) = value.items()
    raw: Any = payload
    match kind:
        case "N":
            return kind, Decimal(raw)
        case "S":
            return kind, raw.encode()
        case "B":
            return kind, base64.b64decode(raw)
        case "SS" | "NS" | "BS":
            return kind, frozenset(plain({kind[0]: member})[1] for member in raw)  # type: ignore[misc]
        case "L":
            return kind, [plain(member) for member in raw]
        case "M":
            return kind, {name: plain(member) for name, member in raw.items()}
    return kind, raw


def reach(item: Item, path: tuple[str | int, ...]) -> Plain | None:
    found: Plain = ("M", {name: plain(value) for name, value in item.items()})
    for part in path:
        kind, payload = found
        if (kind == "M" and isinstance(part, str) and part in payload) or (
            kind == "L" and isinstance(part, int) and part < len(payload)
        ):
            found = payload[part]
        else:
            return None
    return found


def measured(value: Plain | None) -> Plain | None:
    if value is None or value[0] in ("N", "BOOL", "NULL"):
        return None
    if value[0] == "S":
        return "N", Decimal(len(value[1].decode().encode("utf-16-le")) // 2)
    return "N", Decimal(len(value[1]))


def valued(operand: Operand, item: Item, given_values: dict[str, AttributeValue]) -> Plain | None:
    if isinstance(operand, Path):
        return reach(item, operand.parts)
    if isinstance(operand, Value):
        return plain(given_values[operand.placeholder])
    return measured(valued(operand.arguments[0], item, given_values))


def ordered(left: Plain | None, right: Plain | None) -> bool:
    return left is not None and right is not None and left[0] == right[0] and left[0] in ("S", "N", "B")


def called(name: str, first: Plain | None, second: Plain | None) -> bool:
    if name == "attribute_exists":
        return first is not None
    if name == "attribute_not_exists":
        return first is None
    if first is None or second is None:
        return False
    if name == "attribute_type":
        return bool(first[0] == second[1].decode())
    if name == "begins_with":
        return first[0] == second[0] and first[0] in ("S", "B") and bool(first[1].startswith(second[1]))
    if first[0] == "L":
        return second in first[1]
    if first[0] in ("S", "B"):
        return first[0] == second[0] and second[1] in first[1]
    return first[0] in ("SS", "NS", "BS") and first[0][0] == second[0] and second[1] in first[1]


def holds(node: Condition, item: Item, given_values: dict[str, AttributeValue]) -> bool:
    def value(operand: Operand) -> Plain | None:
        return valued(operand, item, given_values)

    match node:
        case And(terms):
            return all(holds(term, item, given_values) for term in terms)
        case Or(terms):
            return any(holds(term, item, given_values) for term in terms)
        case Not(term):
            return not holds(term, item, given_values)
        case Between(operand, low, high):
            a, b, c = value(operand), value(low), value(high)
            return ordered(a, b) and ordered(a, c) and b[1] <= a[1] <= c[1]  # type: ignore[index]
        case In(operand, candidates):
            return value(operand) is not None and value(operand) in [value(each) for each in candidates]
        case Call(name, arguments):
            return called(name, value(arguments[0]), value(arguments[1]) if len(arguments) > 1 else None)
        case Comparison(operator, left, right):
            a, b = value(left), value(right)
            if operator in ("=", "<>"):
                return (a is not None and b is not None and a == b) is (operator == "=")
            if not ordered(a, b) or a is None or b is None:
                return False
            return {"<": a[1] < b[1], "<=": a[1] <= b[1], ">": a[1] > b[1], ">=": a[1] >= b[1]}[
                operator
            ] is True


value_operands = st.sampled_from((":v0", ":v1", ":v2")).map(Value)
path_operands = paths().map(Path)
plain_operands: st.SearchStrategy[Operand] = st.one_of(
    path_operands, value_operands, path_operands.map(lambda path: Call("size", (path,)))
)
meaningful_tests: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Comparison, st.sampled_from(("=", "<>", "<", "<=", ">", ">=")), plain_operands, plain_operands),
    st.builds(Between, plain_operands, plain_operands, plain_operands),
    st.builds(In, plain_operands, st.lists(plain_operands, min_size=1, max_size=3).map(tuple)),
    st.builds(Call, st.just("attribute_exists"), st.tuples(path_operands)),
    st.builds(Call, st.just("attribute_not_exists"), st.tuples(path_operands)),
    st.builds(Call, st.just("attribute_type"), st.tuples(path_operands, st.just(Value(":type")))),
    st.builds(Call, st.sampled_from(("begins_with", "contains")), st.tuples(path_operands, plain_operands)),
)
meaningful: st.SearchStrategy[Condition] = st.recursive(
    meaningful_tests,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=5,
)
type_names = st.sampled_from(("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"))


@st.composite
def operands_for(draw: st.DrawFn, item: Item) -> dict[str, AttributeValue]:
    """Values of any kind, but often one that the item has, with every set turned round."""
    there = [turned(look(item, path)) for path in paths_in({"M": item}) if look(item, path) is not MISSING]
    some_value = values | st.sampled_from(there) if there else values
    return {placeholder: draw(some_value) for placeholder in (":v0", ":v1", ":v2")}


def turned(value: Any) -> Any:
    ((kind, payload),) = value.items()
    if kind in SETS:
        return {kind: payload[::-1]}
    if kind == "L":
        return {"L": [turned(member) for member in payload]}
    return {"M": {name: turned(member) for name, member in payload.items()}} if kind == "M" else value


@settings(max_examples=400)
@given(meaningful, items, st.data(), type_names)
def test_a_condition_agrees_with_the_reference(
    node: Condition, item: Item, data: st.DataObject, type_name: str
) -> None:
    given_values = data.draw(operands_for(item))
    given_values[":type"] = {"S": type_name}
    try:
        condition = compile_condition(source(node), None, given_values)
    except ServiceError:
        assume(False)  # Operands of a type that the operator does not take, or that are the same.
        raise
    assert condition.test(item) is holds(node, item, given_values)


# Updates against a reference that looks each path up afresh and carries out one action after the other.

MISSING, REMOVED = object(), object()
Written: TypeAlias = tuple[str, tuple[str | int, ...], Any]  # Section, path, operand.


def look(item: Any, path: tuple[str | int, ...]) -> Any:
    at: Any = {"M": item}
    for part in path:
        if isinstance(part, str):
            at = at["M"].get(part, MISSING) if "M" in at else MISSING
        else:
            at = at["L"][part] if "L" in at and part < len(at["L"]) else MISSING
        if at is MISSING:
            return MISSING
    return at


def reference_update(item: Item, actions: list[Written]) -> Item | None:
    """The item after the update, or None where AWS refuses it. List indexes are of the old item throughout, so
    elements are marked first and the lists closed up at the end."""
    new: Any = copy.deepcopy(item)
    appended: dict[tuple[str | int, ...], list[tuple[int, Any]]] = {}
    for section, path, operand in actions:
        parent, last = look(item, path[:-1]) if path[:-1] else {"M": item}, path[-1]
        if parent is MISSING or ("M" if isinstance(last, str) else "L") not in parent:
            return None
        old = look(item, path)
        result: Any
        if section == "SET":
            result = operand
        elif section == "REMOVE":
            result = REMOVED if old is not MISSING else MISSING
        else:
            assert operand is not None
            result = combined(section, old, operand)
            if result is None:
                return None
        target = look(new, path[:-1]) if path[:-1] else {"M": new}
        if result is MISSING:
            continue
        if isinstance(last, str):
            target["M"][last] = result
        elif last < len(look(item, path[:-1])["L"]):
            target["L"][last] = result
        else:
            appended.setdefault(path[:-1], []).append((last, result))
    for path, added in appended.items():
        look(new, path)["L"].extend(value for _, value in sorted(added, key=lambda pair: pair[0]))
    return without_removed({"M": new})["M"]  # type: ignore[no-any-return]


def combined(section: str, old: Any, operand: AttributeValue) -> Any:
    ((kind, payload),) = operand.items()
    members: Any = payload
    if old is MISSING:
        return operand if section == "ADD" else MISSING
    if kind not in old:
        return None
    if kind == "N":
        total = format((Decimal(old["N"]) + Decimal(members)).normalize(), "f")
        return {"N": "0" if total == "-0" else total}
    if section == "ADD":
        return {kind: old[kind] + [member for member in members if member not in old[kind]]}
    left = [member for member in old[kind] if member not in members]
    return {kind: left} if left else REMOVED


def without_removed(value: Any) -> Any:
    if "M" in value:
        return {"M": {name: without_removed(at) for name, at in value["M"].items() if at is not REMOVED}}
    if "L" in value:
        return {"L": [without_removed(at) for at in value["L"] if at is not REMOVED]}
    return value


def paths_in(value: Any) -> list[tuple[str | int, ...]]:
    """Every path that leads somewhere, and two that lead past the end of each list."""
    if "M" in value:
        inner = [(name, member) for name, member in value["M"].items()]
    elif "L" in value:
        end = len(value["L"])
        inner = [*enumerate(value["L"]), (end + 1, {"NULL": True}), (end, {"NULL": True})]
    else:
        return []
    return [(part, *rest) for part, member in inner for rest in [(), *paths_in(member)]]


@st.composite
def updates(draw: st.DrawFn) -> tuple[Item, str, dict[str, Any], list[Written]]:
    item = draw(items)
    there = paths_in({"M": item})
    some_path = paths() | st.sampled_from(there) if there else paths()
    actions: list[Written] = []
    given_values: dict[str, Any] = {}
    clauses: list[str] = []
    numbers = st.sampled_from(NUMBERS).map(lambda text: {"N": text})
    for section in draw(st.permutations(["SET", "REMOVE", "ADD", "DELETE"])):
        texts: list[str] = []
        for path in draw(st.lists(some_path, max_size=4)):
            if any(clash(path, other) for _, other, _ in actions):
                continue
            operand = None
            if section != "REMOVE":
                old = look(item, path)
                fitting = [st.just(old)] if old is not MISSING and ("N" in old or old.keys() & SETS) else []
                operand = draw(
                    st.one_of({"SET": values, "ADD": sets | numbers, "DELETE": sets}[section], *fitting)
                )
                assume(section != "DELETE" or "N" not in operand)
            actions.append((section, path, operand))
            placeholder = f":v{len(given_values)}"
            if section == "REMOVE":
                texts.append(path_source(path))
            else:
                given_values[placeholder] = operand
                texts.append(f"{path_source(path)} {'= ' if section == 'SET' else ''}{placeholder}")
        if texts:
            clauses.append(f"{section} {', '.join(texts)}")
    assume(clauses)
    return item, " ".join(clauses), given_values, actions


@settings(max_examples=400)
@given(updates())
def test_an_update_agrees_with_the_reference(case: tuple[Item, str, dict[str, Any], list[Written]]) -> None:
    item, text, given_values, actions = case
    compiled = compile_update(text, None, given_values)
    before = copy.deepcopy(item)
    expected = reference_update(item, actions)
    if expected is None:
        assert refusal(lambda: compiled.apply(item)) is not None
    else:
        assert compiled.apply(item) == expected
    assert item == before


def clash(one: tuple[str | int, ...], two: tuple[str | int, ...]) -> bool:
    """Whether AWS refuses the two paths side by side."""
    for left, right in zip(one, two, strict=False):
        if isinstance(left, str) is not isinstance(right, str):
            return True
        if left != right:
            return False
    return True


# The check walks a tree of the paths; the rule is about every two of them.
@given(st.lists(paths(4), min_size=1, max_size=5))
def test_paths_are_refused_exactly_when_two_of_them_clash(several: list[tuple[str | int, ...]]) -> None:
    text = ", ".join(map(path_source, several))
    refused = refusal(lambda: compile_projection(text, None))
    clashes = [
        f"path one: {path_text(one)}, path two: {path_text(two)}"
        for index, two in enumerate(several)
        for one in several[:index]
        if clash(one, two)
    ]
    assert (refused is not None) is bool(clashes)
    assert refused is None or str(refused).split("; ")[-1] in clashes


# What is projected is what can be reached, and nothing else comes along.
@given(items, paths())
def test_a_projection_of_one_path_keeps_what_the_path_reaches(
    item: Item, path: tuple[str | int, ...]
) -> None:
    chosen = compile_projection(path_source(path), None).apply(item)
    found = look(item, path)
    if found is MISSING:
        assert chosen == {}
        return
    at: Any = {"M": chosen}
    for part in path:
        (container,) = at.values()
        assert len(container) == 1
        at = container[part if isinstance(part, str) else 0]
    assert at == found


# Nonsense.

WORDS = (
    "( ) ( ) [ ] . , = <> < <= > >= + - AND OR NOT IN BETWEEN SET REMOVE ADD DELETE a b #n #m :v :w 0 17 size "
    "begins_with attribute_exists attribute_type contains if_not_exists list_append status ! é # :"
)
words = st.sampled_from(WORDS.split())
soup = st.one_of(st.lists(words, max_size=30).map(" ".join), st.text(max_size=40))


@settings(max_examples=500)
@given(soup, items, values, values)
def test_nonsense_is_an_error_of_aws_and_nothing_else(
    text: str, item: Item, v: AttributeValue, w: AttributeValue
) -> None:
    given_values: dict[str, AttributeValue] = {":v": v, ":w": w}
    names = {"#n": "aa", "#m": "bb"}
    schema = KeySchema((KeyAttribute("aa", "S"),), (KeyAttribute("bb", "N"),))
    for act in (
        lambda: compile_update(text, names, given_values).apply(item),
        lambda: compile_update("SET " + text, names, given_values).apply(item),
        lambda: compile_update("REMOVE " + text, names, given_values).apply(item),
        lambda: compile_condition(text, names, given_values).test(item),
        lambda: compile_projection(text, names).apply(item),
        lambda: compile_key_condition(text, names, given_values, schema),
    ):
        error = refusal(act)
        assert error is None or error.code == "ValidationException"
