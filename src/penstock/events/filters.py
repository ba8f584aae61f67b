"""Filter patterns, as Lambda's FilterCriteria has them: which records a handler gets to see.

A pattern mirrors the record. A nested object goes one level down; a list holds what the value there may be, any of it:

    {"dynamodb": {"NewImage": {"category": {"S": ["jewelry", {"prefix": "book"}]}}}, "eventName": ["INSERT"]}

    "x" "" 5 true null          equal, of the same JSON type ("" is the empty string, null is JSON's null)
    {"prefix": …} {"suffix": …} of a string; the operand may be {"equals-ignore-case": …}
    {"equals-ignore-case": …}   of a string
    {"wildcard": "a*b"}         of a string, * is any run of characters, \\* and \\\\ are themselves
    {"anything-but": …}         a value is there and is none of these: a string, a number, a list of them, or one of
                                the four above with a string or a list
    {"numeric": [">", 10, "<=", 20]}    of a JSON number
    {"exists": true|false}      a leaf is there, or is not
    {"cidr": "10.0.0.0/24"}     of a string that is an IP address
    "$or": [pattern, pattern]   beside keys: at least one of them holds

F1. All keys of a pattern must hold (and); any element of a list (or); any pattern of several lets a record in.
F2. Operators look at leaves only: `exists` on an attribute's name finds nothing, on its type tag it does, as AWS says of
    DynamoDB events. Where the record holds a list, one element that fits is enough.
F3. DynamoDB's numbers are text ("N": "10"), so `numeric` does not see them, on AWS neither; equality does: {"N": ["10"]}.
F4. A pattern that Lambda would refuse is refused when the application is declared, not when a record comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import Any, TypeAlias

import orjson

from penstock.errors import UsageError

Test: TypeAlias = Callable[[Any], bool]
Accept: TypeAlias = Callable[[Mapping[str, Any]], bool]

PATTERNS_MAX = 10  # Lambda quotas: filters of one event source mapping, the larger figure, on request.
PATTERN_BYTES_MAX = 4096  # CreateEventSourceMapping, Filter.Pattern.
_ABSENT: Any = object()
_SCALARS = (str, int, float, Decimal)


def compile_patterns(patterns: Sequence[Mapping[str, Any] | str]) -> Accept | None:
    """One test for all patterns, or None where there are none and everything passes."""
    if not patterns:
        return None
    if len(patterns) > PATTERNS_MAX:
        raise UsageError(f"a consumer takes {PATTERNS_MAX} filter patterns, not {len(patterns)}")
    accepts = [compile_pattern(pattern) for pattern in patterns]
    return accepts[0] if len(accepts) == 1 else lambda record: any(accept(record) for accept in accepts)


def compile_pattern(pattern: Mapping[str, Any] | str) -> Accept:
    if isinstance(pattern, str):
        try:
            pattern = orjson.loads(pattern)
        except orjson.JSONDecodeError as error:
            raise UsageError(f"a filter pattern is JSON: {error}") from error
    if not isinstance(pattern, Mapping):
        raise UsageError('a filter pattern is an object: {"dynamodb": {…}}')
    if len(orjson.dumps(pattern, default=str)) > PATTERN_BYTES_MAX:
        raise UsageError(f"a filter pattern is at most {PATTERN_BYTES_MAX} bytes long")
    return _object(pattern, "pattern")


def _object(pattern: Mapping[str, Any], path: str) -> Test:
    if not pattern:
        raise UsageError(f"{path} is empty; a pattern names at least one key")
    tests = [_member(key, inner, f"{path}.{key}") for key, inner in pattern.items()]
    return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)


def _member(key: str, inner: Any, path: str) -> Test:
    if (
        key == "$or"
        and isinstance(inner, list)
        and len(inner) > 1
        and all(isinstance(e, Mapping) for e in inner)
    ):
        options = [_object(each, path) for each in inner]
        return lambda value: any(option(value) for option in options)
    if isinstance(inner, Mapping):
        below = _object(inner, path)
        return lambda value: _holds_below(below, value, key)
    if isinstance(inner, list):
        leaf = _leaf(inner, path)
        return lambda value: leaf(value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT)
    raise UsageError(f"{path} holds {inner!r}; write a list of what it may be: [{inner!r}]")


def _holds_below(below: Test, value: Any, key: str) -> bool:
    held = value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    if isinstance(held, list):
        return any(below(element) for element in held)
    return below(held)


def _leaf(options: list[Any], path: str) -> Test:
    """A list of the pattern against what the record holds there: a scalar, a list of them, or nothing."""
    if not options:
        raise UsageError(f"{path} is an empty list, which nothing equals")
    equal = [option for option in options if not isinstance(option, Mapping)]
    tests: list[Test] = [_equal_to_any(equal, path)] if equal else []
    absent_fits = False
    for option in options:
        if isinstance(option, Mapping):
            operator, operand = _operator(option, path)
            if operator == "exists":
                if not isinstance(operand, bool):
                    raise UsageError(f"{path}: exists takes true or false")
                if operand:
                    tests.append(lambda _: True)
                else:
                    absent_fits = True
            else:
                tests.append(_operator_test(operator, operand, path))

    def test(held: Any) -> bool:
        if isinstance(held, list):
            return any(test(element) for element in held) if held else absent_fits
        if held is _ABSENT or isinstance(held, Mapping):
            return absent_fits
        return any(each(held) for each in tests)

    return test


def _operator(option: Mapping[str, Any], path: str) -> tuple[str, Any]:
    if len(option) != 1:
        raise UsageError(f"{path}: one operator in each object; got {', '.join(option) or 'none'}")
    return next(iter(option.items()))


def _operator_test(operator: str, operand: Any, path: str) -> Test:
    match operator:
        case "prefix" | "suffix" | "equals-ignore-case" | "wildcard":
            return _text_test(operator, operand, path)
        case "anything-but":
            return _anything_but(operand, path)
        case "numeric":
            return _numeric(operand, path)
        case "cidr":
            return _cidr(operand, path)
        case _:
            raise UsageError(f"{path}: no operator {operator!r}")


def _equal_to_any(options: list[Any], path: str) -> Test:
    for option in options:
        if not (option is None or isinstance(option, bool | int | float | Decimal | str)):
            raise UsageError(f"{path}: {option!r} is not a string, a number, true, false or null")
    texts = frozenset(option for option in options if isinstance(option, str))
    others = [option for option in options if not isinstance(option, str)]
    if not others:
        return lambda held: isinstance(held, str) and held in texts
    return lambda held: (
        held in texts if isinstance(held, str) else any(_same(held, other) for other in others)
    )


def _same(left: Any, right: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return left is right
    return isinstance(right, int | float | Decimal) and bool(left == right)


def _text_test(operator: str, operand: Any, path: str) -> Test:
    if isinstance(operand, Mapping) and operator in ("prefix", "suffix"):
        inner, folded = _operator(operand, path)
        if inner != "equals-ignore-case" or not isinstance(folded, str):
            raise UsageError(f'{path}: {operator} takes a string or {{"equals-ignore-case": string}}')
        low = folded.lower()
        if operator == "prefix":
            return lambda held: isinstance(held, str) and held.lower().startswith(low)
        return lambda held: isinstance(held, str) and held.lower().endswith(low)
    if not isinstance(operand, str):
        raise UsageError(f"{path}: {operator} takes a string, not {operand!r}")
    match operator:
        case "prefix":
            return lambda held: isinstance(held, str) and held.startswith(operand)
        case "suffix":
            return lambda held: isinstance(held, str) and held.endswith(operand)
        case "equals-ignore-case":
            low = operand.lower()
            return lambda held: isinstance(held, str) and held.lower() == low
        case _:
            fits = re.compile(wildcard_expression(operand, path), re.DOTALL).fullmatch
            return lambda held: isinstance(held, str) and fits(held) is not None


def wildcard_expression(text: str, path: str) -> str:
    """The regular expression that a wildcard means."""
    if "**" in text.replace("\\*", ""):
        raise UsageError(f"{path}: a wildcard has no two * side by side")
    parts: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            following = next(characters, "")
            if following not in ("*", "\\"):
                raise UsageError(f"{path}: in a wildcard a backslash stands before * or \\")
            parts.append(re.escape(following))
        else:
            parts.append(".*" if character == "*" else re.escape(character))
    return "".join(parts)


def _anything_but(operand: Any, path: str) -> Test:
    if isinstance(operand, Mapping):
        operator, inner = _operator(operand, path)
        if operator not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
            raise UsageError(f"{path}: anything-but takes no {operator!r}")
        refused = [
            _text_test(operator, each, path) for each in (inner if isinstance(inner, list) else [inner])
        ]
        return lambda held: not any(test(held) for test in refused)
    operands = operand if isinstance(operand, list) else [operand]
    if not operands or any(isinstance(each, bool) or not isinstance(each, _SCALARS) for each in operands):
        raise UsageError(f"{path}: anything-but takes strings or numbers")
    equal = _equal_to_any(operands, path)
    return lambda held: not equal(held)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda held, bound: bool(held == bound),
    "<": lambda held, bound: bool(held < bound),
    "<=": lambda held, bound: bool(held <= bound),
    ">": lambda held, bound: bool(held > bound),
    ">=": lambda held, bound: bool(held >= bound),
}


def _numeric(operand: Any, path: str) -> Test:
    wrong = f'{path}: numeric takes a comparison and a number, once or twice: [">", 0, "<=", 5]'
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise UsageError(wrong)
    checks: list[tuple[Callable[[Any, Any], bool], Any]] = []
    for name, bound in zip(operand[::2], operand[1::2], strict=True):
        if (
            name not in _COMPARISONS
            or isinstance(bound, bool)
            or not isinstance(bound, int | float | Decimal)
        ):
            raise UsageError(wrong)
        checks.append((_COMPARISONS[name], bound))
    if len(checks) == 2 and (operand[0] not in (">", ">=") or operand[2] not in ("<", "<=")):
        raise UsageError(f"{path}: a numeric range goes from > or >= to < or <=")
    return lambda held: (
        isinstance(held, int | float | Decimal)
        and not isinstance(held, bool)
        and all(check(held, bound) for check, bound in checks)
    )


def _cidr(operand: Any, path: str) -> Test:
    try:
        network = ip_network(operand, strict=False)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error

    def test(held: Any) -> bool:
        if not isinstance(held, str):
            return False
        try:
            return ip_address(held) in network
        except ValueError:
            return False

    return test
