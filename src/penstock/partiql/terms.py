"""The cursor over a statement's tokens, and the grammar of expressions.

Binding, loosest first: OR, AND, NOT, comparisons with IN, IS, LIKE and BETWEEN, + - ||, * / %, a sign, a path.
Chains of AND and of OR are one node; only what nests takes stack, and DEPTH_MAX bounds it.
"""

from __future__ import annotations

from penstock.errors import validation
from penstock.partiql import tokens, wording
from penstock.partiql.syntax import (
    And,
    Arithmetic,
    Bag,
    Between,
    Call,
    Compare,
    Expression,
    In,
    Is,
    Listing,
    Literal,
    Not,
    Number,
    Or,
    Parameter,
    Path,
    Tuple,
)
from penstock.partiql.tokens import Token, tokenize

# Ours. Values end at 32 levels, and whatever walks a tree takes a few frames of Python's thousand at each.
DEPTH_MAX = 64
CHAINED_MAX = 20  # a = b = c leans to the left, as deep as it is long; AND and OR do not.

_LIST_INDEX_MAX = 2**31 - 1
_COMPARISONS = frozenset(["=", "<>", "<", "<=", ">", ">="])
_OPERATOR_WORDS = frozenset(["AND", "OR", "IN", "IS", "LIKE", "BETWEEN"])
_OPERATORS = _COMPARISONS | {"*", "/", "%", "||"}
_OR, _AND, _NOT, _COMPARE, _ADD, _MULTIPLY = range(1, 7)
_BINDING = {
    "OR": _OR,
    "AND": _AND,
    "NOT": _COMPARE,  # As in a NOT IN b.
    **dict.fromkeys(_COMPARISONS, _COMPARE),
    **dict.fromkeys(["IN", "IS", "LIKE", "BETWEEN"], _COMPARE),
    **dict.fromkeys(["+", "-", "||"], _ADD),
    **dict.fromkeys(["*", "/", "%"], _MULTIPLY),
}
# What IS takes, and how many further words belong to the name.
_TYPE_WORDS = """
    NULL MISSING BOOL BOOLEAN SMALLINT INTEGER2 INT2 INTEGER INT INTEGER4 INT4 INTEGER8 INT8 FLOAT REAL DECIMAL
    DEC NUMERIC TIMESTAMP DATE TIME CHAR CHARACTER VARCHAR STRING SYMBOL CLOB BLOB STRUCT TUPLE LIST SEXP BAG ANY
"""
_TYPE_NAMES = frozenset(_TYPE_WORDS.split())
_LONG_TYPE_NAMES = {"DOUBLE": "PRECISION", "CHARACTER": "VARYING"}


class Terms:
    def __init__(self, text: str) -> None:
        self._tokens = tokenize(text)
        self._at = 0
        self._depth = 0
        self._chained = 0
        self.parameters = 0

    @property
    def current(self) -> Token:
        return self._tokens[self._at]

    @property
    def following(self) -> Token:
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def advance(self, count: int = 1) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + count, len(self._tokens) - 1)
        return token

    def at_end(self) -> bool:
        return self.current.kind == tokens.END

    def accept(self, kind: str) -> bool:
        if self.current.kind != kind:
            return False
        self.advance()
        return True

    def at_keyword(self, word: str) -> bool:
        return self.current.kind == tokens.KEYWORD and self.current.text == word

    def accept_keyword(self, word: str) -> bool:
        if not self.at_keyword(word):
            return False
        self.advance()
        return True

    def expect(self, kind: str) -> None:
        if not self.accept(kind):
            raise wording.malformed(wording.UNEXPECTED_TERM)

    def expect_keyword(self, word: str) -> None:
        if not self.accept_keyword(word):
            raise wording.malformed("Expected keyword")

    def expression(self, binding: int = _OR) -> Expression:
        """Everything from here on that binds at least so tightly."""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise wording.too_deep()
        left = self._prefix()
        wrapped = False
        while True:
            token = self.current
            word = token.text if token.kind == tokens.KEYWORD else token.kind
            next_binding = _BINDING.get(word, 0)
            if next_binding < binding or next_binding == 0:
                break
            if word in ("OR", "AND"):
                left = self._chain(left, word)
                continue
            self._chained += wrapped
            if self._chained > CHAINED_MAX:
                raise wording.too_deep()
            left, wrapped = self._infix(left, word), True
        self._depth -= 1
        return left

    def _chain(self, left: Expression, word: str) -> Expression:
        parts = [left]
        while self.accept_keyword(word):
            parts.append(self._right(_BINDING[word] + 1))
        return And(tuple(parts)) if word == "AND" else Or(tuple(parts))

    def _right(self, binding: int) -> Expression:
        if self.at_end():
            raise wording.malformed(wording.NO_RIGHT_SIDE)
        return self.expression(binding)

    def _infix(self, left: Expression, word: str) -> Expression:
        self.advance()
        if word == "NOT":
            inner = self.current.text if self.current.kind == tokens.KEYWORD else ""
            if inner not in ("IN", "BETWEEN", "LIKE"):
                raise wording.malformed(wording.LEFTOVER)
            return Not(self._infix(left, inner))
        if word == "IS":
            return self._is(left)
        if word == "BETWEEN":
            low = self._right(_ADD)
            self.expect_keyword("AND")
            return Between(left, low, self._right(_ADD))
        right = self._right(_BINDING[word] + 1)
        if word == "IN":
            return self._in(left, right)
        return Compare(word, left, right) if word in _COMPARISONS else Arithmetic(word, left, right)

    def _in(self, left: Expression, right: Expression) -> Expression:
        if isinstance(right, Listing):
            return In(left, right.items)
        if isinstance(right, Literal | Number):
            return In(left, (right,))  # IN ('a'): parentheses around one value leave no trace.
        raise wording.incorrect_operand("IN", type(right).__name__)

    def _is(self, left: Expression) -> Expression:
        negated = self.accept_keyword("NOT")
        token = self.current
        first = token.text if token.kind == tokens.KEYWORD else ""
        second = _LONG_TYPE_NAMES.get(first)
        if second is not None and self.following.kind == tokens.KEYWORD and self.following.text == second:
            self.advance()
            first = f"{first} {second}"
        elif first not in _TYPE_NAMES:
            raise wording.malformed(wording.NO_TYPE_NAME)
        self.advance()
        test = Is(left, first)
        return Not(test) if negated else test

    def _prefix(self) -> Expression:
        token = self.current
        match token.kind:
            case tokens.NAME:
                if self.following.kind == "(":
                    return self._call()
                return self.path()
            case tokens.STRING:
                self.advance()
                return Literal({"S": token.text})
            case tokens.NUMBER:
                self.advance()
                return Number(token.text)
            case "?":
                self.advance()
                self.parameters += 1
                return Parameter(self.parameters - 1, token.place)
            case "(":
                return self._group()
            case "[":
                self.advance()
                return Listing(self._items("]"))
            case "<<":
                self.advance()
                return Bag(self._items(">>"))
            case "{":
                return self._tuple()
            case "+" | "-":
                return self._signed()
            case tokens.KEYWORD:
                return self._keyword()
        raise wording.malformed(
            wording.UNEXPECTED_OPERATOR if token.kind in _OPERATORS else wording.UNEXPECTED_TERM
        )

    def _keyword(self) -> Expression:
        word = self.current.text
        if word in tokens.FUNCTION_KEYWORDS and self.following.kind == "(":
            return self._call()
        if word == "NOT":
            self.advance()
            return Not(self.expression(_NOT))
        if word in ("TRUE", "FALSE"):
            self.advance()
            return Literal({"BOOL": word == "TRUE"})
        if word == "NULL":
            self.advance()
            return Literal({"NULL": True})
        if word in _OPERATOR_WORDS:
            raise wording.malformed(wording.UNEXPECTED_OPERATOR)
        # FROM inside an expression begins a manipulation, and nothing that follows it here is one.
        raise wording.malformed(
            wording.NOT_DATA_MANIPULATION if word == "FROM" and self._at > 0 else wording.UNEXPECTED_KEYWORD
        )

    def _group(self) -> Expression:
        self.advance()
        first = self.expression()
        if self.current.kind == ",":
            self.advance()
            return Listing((first, *self._items(")")))
        self.expect(")")
        return first

    def _items(self, end: str) -> tuple[Expression, ...]:
        items: list[Expression] = []
        if self.accept(end):
            return ()
        while True:
            items.append(self.expression())
            if not self.accept(","):
                break
        self.expect(end)
        return tuple(items)

    def _tuple(self) -> Expression:
        self.advance()
        fields: list[tuple[str, Expression]] = []
        if self.accept("}"):
            return Tuple(())
        while True:
            name = self.expression(_ADD)
            if not isinstance(name, Literal) or "S" not in name.value:
                kind = type(name).__name__
                raise validation(f"Tuple keys must be of type String. Actual type: {kind}")
            self.expect(":")
            fields.append((name.value["S"], self.expression()))
            if not self.accept(","):
                break
        self.expect("}")
        return Tuple(tuple(fields))

    def _signed(self) -> Expression:
        """Signs in front of a number are its own; in front of anything else they are operators, which nothing takes."""
        negative = False
        first = self.current.kind
        while self.current.kind in ("+", "-"):
            negative ^= self.advance().kind == "-"
        operand = self.expression(_MULTIPLY + 1)
        if isinstance(operand, Number):
            return Number(("-" if negative else "") + operand.text)
        return Arithmetic(first, operand, None)

    def _call(self) -> Expression:
        token = self.advance()
        self.advance()
        if self.current.kind == "*":
            raise wording.malformed(
                "Function call, other than COUNT, with (*) as parameter is not supported"
                if token.text.upper() != "COUNT"
                else wording.UNEXPECTED_TERM
            )
        return Call(token.text.lower(), self._items(")"), token.place)

    def simple_path(self) -> Path:
        """The target of SET and REMOVE."""
        if self.current.kind != tokens.NAME:
            raise wording.malformed(wording.NO_SIMPLE_PATH)
        return self.path()

    def path(self) -> Path:
        token = self.advance()
        steps: list[str | int] = []
        while True:
            if self.accept("."):
                if self.current.kind != tokens.NAME:
                    raise wording.malformed("Invalid Path component")
                steps.append(self.advance().text)
            elif self.accept("["):
                steps.append(self._bracketed())
                self.expect("]")
            else:
                return Path(token.text, tuple(steps), token.place)

    def _bracketed(self) -> str | int:
        """A list index, or the name of a map's member in single quotes."""
        if self.current.kind == tokens.STRING:
            return self.advance().text
        negative = False
        while self.current.kind in ("+", "-"):
            negative ^= self.advance().kind == "-"
        token = self.advance()
        if token.kind != tokens.NUMBER or not token.text.isdigit():
            raise validation("Unexpected path component")
        index = int(token.text[:20])
        if index > _LIST_INDEX_MAX or (negative and index):
            written = ("-" if negative else "") + token.text
            raise validation(
                f"List index is not within the allowable range; index: [{written}] at {token.place}"
            )
        return index
