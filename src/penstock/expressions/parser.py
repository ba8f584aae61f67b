"""Text to trees, without recursion: each rule is a generator, and `_run` keeps their stack in a list.

Two well-known engines die of a deeply nested expression. Here `(` times 4,096 costs a list of 4,096
generators and then AWS's syntax error.

One rule reads both conditions and operands, since `(` may open either: `(a = :v)` or `(a) = :v`. So there is
no backtracking, a text is read once, and the token that stops the reading is the one that AWS names.

    condition = term (OR term)*        term = factor (AND factor)*        factor = NOT factor | test
    test      = operand comparator operand | operand BETWEEN operand AND operand
              | operand IN (operand, ...) | call | ( condition )
    operand   = path | :value | call | ( operand )
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeVar, cast

from penstock.errors import ServiceError, validation
from penstock.expressions import tokens
from penstock.expressions.syntax import (
    CONDITION_TYPES,
    Action,
    And,
    Arithmetic,
    Between,
    Call,
    Comparison,
    Condition,
    In,
    Not,
    Operand,
    Or,
    Path,
    Section,
    Tree,
    Value,
)
from penstock.limits import EXPRESSION_BYTES_MAX, EXPRESSION_OPERATORS_MAX

COMPARATORS = frozenset(["=", "<>", "<", "<=", ">", ">="])


class _Parsed(NamedTuple):
    """A node, and whether parentheses stand straight around it."""

    node: Condition | Operand | Arithmetic
    grouped: bool = False


_T = TypeVar("_T")
_Rule: TypeAlias = Generator[Any, Any, _T]


def _run(rule: _Rule[_T]) -> _T:
    """Drives a rule: what it yields is a rule to finish first, whose result it is sent."""
    stack: list[_Rule[Any]] = [rule]
    result: Any = None
    while stack:
        try:
            stack.append(stack[-1].send(result))
            result = None
        except StopIteration as finished:
            stack.pop()
            result = finished.value
    return cast(_T, result)


class _Parser:
    def __init__(self, text: str, kind: str) -> None:
        self.text = text
        self.kind = kind
        self.tokens = tokens.tokenize(text)
        self.at = 0
        self.operators = 0
        self.placeholders: dict[str, None] = {}  # The #names, in the order in which they are met.

    def invalid(self, message: str) -> ServiceError:
        return validation(f"Invalid {self.kind}: {message}")

    def fail(self) -> NoReturn:
        """The token here, quoted with its neighbours as the text has them."""
        at = self.at
        token = self.tokens[at]
        start = self.tokens[at - 1].start if at else token.start
        end = self.tokens[at + 1].end if at + 1 < len(self.tokens) else token.end
        raise self.invalid(f'Syntax error; token: "{token.text}", near: "{self.text[start:end]}"')

    def next_is(self, kind: str) -> bool:
        return self.tokens[self.at].kind == kind

    def accept(self, kind: str) -> bool:
        if self.tokens[self.at].kind != kind:
            return False
        self.at += 1
        return True

    def expect(self, kind: str) -> tokens.Token:
        token = self.tokens[self.at]
        if token.kind != kind:
            self.fail()
        self.at += 1
        return token

    def group(self, inner: _Parsed) -> _Parsed:
        self.expect(")")
        if inner.grouped:
            raise self.invalid("The expression has redundant parentheses;")
        return _Parsed(inner.node, True)

    # Conditions.

    def either(self) -> _Rule[_Parsed]:
        """A condition, or an operand that stands alone in parentheses."""
        first: _Parsed = yield self.conjunction()
        if not self.next_is("OR"):
            return first
        terms = [self.as_condition(first)]
        while self.accept("OR"):
            self.operators += 1
            terms.append(self.as_condition((yield self.conjunction())))
        return _Parsed(Or(tuple(terms)))

    def conjunction(self) -> _Rule[_Parsed]:
        first: _Parsed = yield self.negation()
        if not self.next_is("AND"):
            return first
        terms = [self.as_condition(first)]
        while self.accept("AND"):
            self.operators += 1
            terms.append(self.as_condition((yield self.negation())))
        return _Parsed(And(tuple(terms)))

    def negation(self) -> _Rule[_Parsed]:
        count = 0
        while self.accept("NOT"):
            count += 1
        self.operators += count
        parsed: _Parsed = yield self.test()
        if not count:
            return parsed
        node = self.as_condition(parsed)
        # More than the bound is refused at the end; until then a deep tree would only be in the way.
        for _ in range(min(count, EXPRESSION_OPERATORS_MAX)):
            node = Not(node)
        return _Parsed(node)

    def test(self) -> _Rule[_Parsed]:
        if self.accept("("):
            left = self.group((yield self.either()))
            if isinstance(left.node, CONDITION_TYPES):
                return left
        else:
            left = yield self.operand()
        token = self.tokens[self.at]
        operand = cast(Operand, left.node)
        if token.kind in COMPARATORS:
            self.at += 1
            self.operators += 1
            right: _Parsed = yield self.operand()
            return _Parsed(Comparison(token.kind, operand, cast(Operand, right.node)))
        if self.accept("BETWEEN"):
            self.operators += 1
            low: _Parsed = yield self.operand()
            self.expect("AND")
            high: _Parsed = yield self.operand()
            return _Parsed(Between(operand, cast(Operand, low.node), cast(Operand, high.node)))
        if self.accept("IN"):
            self.operators += 1
            self.expect("(")
            candidates = yield self.operands()
            return _Parsed(In(operand, candidates))
        return left

    def as_condition(self, parsed: _Parsed) -> Condition:
        """A path or a value is not a condition: what was missing is an operator, here."""
        if isinstance(parsed.node, Path | Value | Arithmetic):
            self.fail()
        return parsed.node

    # Operands.

    def operand(self) -> _Rule[_Parsed]:
        token = self.tokens[self.at]
        if token.kind == tokens.VALUE_PLACEHOLDER:
            self.at += 1
            return _Parsed(Value(token.text))
        if token.kind == "(":
            self.at += 1
            return self.group((yield self.operand()))
        if token.kind == tokens.NAME and self.tokens[self.at + 1].kind == "(":
            self.at += 2
            self.operators += 1
            arguments = yield self.operands()
            return _Parsed(Call(token.text, arguments))
        return _Parsed(self.path())

    def operands(self) -> _Rule[tuple[Operand, ...]]:
        """What stands between parentheses, of a function or of IN, with the closing one."""
        found: list[Operand] = []
        while True:
            parsed: _Parsed = yield self.operand()
            found.append(cast(Operand, parsed.node))
            if not self.accept(","):
                self.expect(")")
                return tuple(found)

    def name(self) -> str:
        token = self.tokens[self.at]
        if token.kind != tokens.NAME and token.kind != tokens.NAME_PLACEHOLDER:
            self.fail()
        self.at += 1
        if token.kind == tokens.NAME_PLACEHOLDER:
            self.placeholders[token.text] = None
        return token.text

    def path(self) -> Path:
        parts: list[str | int] = [self.name()]
        while True:
            if self.accept("."):
                parts.append(self.name())
            elif self.accept("["):
                parts.append(int(self.expect(tokens.INDEX).text))
                self.expect("]")
            else:
                return Path(tuple(parts))

    # Whole expressions.

    def condition(self) -> _Rule[Tree]:
        parsed = yield self.either()
        node = self.as_condition(parsed)
        return self.tree(condition=node)

    def projection(self) -> _Rule[Tree]:
        paths = [self.path()]
        while self.accept(","):
            paths.append(self.path())
        return self.tree(paths=tuple(paths))
        yield  # A rule like the others, although no path nests.

    def update(self) -> _Rule[Tree]:
        sections: list[Section] = []
        while not sections or not self.next_is(tokens.END):
            keyword = self.tokens[self.at].kind
            if keyword not in ("SET", "REMOVE", "ADD", "DELETE"):
                self.fail()
            self.at += 1
            actions: list[Action] = []
            while not actions or self.accept(","):
                actions.append((yield self.action(keyword)))
            sections.append(Section(keyword, tuple(actions)))
        return self.tree(sections=tuple(sections))

    def action(self, keyword: str) -> _Rule[Action]:
        path = self.path()
        if keyword == "REMOVE":
            return Action(keyword, path)
        self.operators += 1
        if keyword == "SET":
            self.expect("=")
            parsed: _Parsed = yield self.set_value()
            return Action(keyword, path, cast("Operand | Arithmetic", parsed.node))
        return Action(keyword, path, Value(self.expect(tokens.VALUE_PLACEHOLDER).text))

    def set_value(self) -> _Rule[_Parsed]:
        """operand, operand + operand, or either of them in parentheses."""
        if self.accept("("):
            left = self.group((yield self.set_value()))
            if isinstance(left.node, Arithmetic):
                return left
        else:
            left = yield self.operand()
        token = self.tokens[self.at]
        if token.kind not in ("+", "-"):
            return left
        self.at += 1
        self.operators += 1
        right: _Parsed = yield self.operand()
        return _Parsed(Arithmetic(token.kind, cast(Operand, left.node), cast(Operand, right.node)))

    def tree(
        self,
        condition: Condition | None = None,
        sections: tuple[Section, ...] = (),
        paths: tuple[Path, ...] = (),
    ) -> Tree:
        self.finish()
        return Tree(self.operators, tuple(self.placeholders), condition, sections, paths)

    def finish(self) -> None:
        if not self.next_is(tokens.END):
            self.fail()
        if self.operators > EXPRESSION_OPERATORS_MAX:
            raise self.invalid(
                f"The expression contains too many operators; operator count: {EXPRESSION_OPERATORS_MAX + 1}"
            )


def _open(text: str, kind: str) -> _Parser:
    if not text:
        raise validation(f"Invalid {kind}: The expression can not be empty;")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > EXPRESSION_BYTES_MAX:
        raise validation(
            f"Invalid {kind}: Expression size has exceeded the maximum allowed size; expression size: {size}"
        )
    return _Parser(text, kind)


def parse_condition(text: str, kind: str) -> Tree:
    return _run(_open(text, kind).condition())


def parse_update(text: str) -> Tree:
    return _run(_open(text, "UpdateExpression").update())


def parse_projection(text: str) -> Tree:
    return _run(_open(text, "ProjectionExpression").projection())
