"""An expression's text as tokens, each with its place, because AWS's syntax error quotes the text around one.

A token's kind is its own text for operators and punctuation, the upper-case word for the nine keywords, and
one of the names below for the rest. Keywords are keywords anywhere: `set = :v` is a syntax error, not a
reserved word.
"""

from __future__ import annotations

import re
from typing import NamedTuple

NAME = (
    "name"  # A letter first: AWS knows no name that begins with an underscore, except behind a placeholder.
)
NAME_PLACEHOLDER = "#name"
VALUE_PLACEHOLDER = ":value"
INDEX = "index"  # The digits between brackets: 0, or no zero in front.
UNKNOWN = "unknown"  # A character that no expression holds.
END = "<EOF>"

KEYWORDS = frozenset(["AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"])

_scan = re.compile(
    r"[ \t\r\n]*(?:([A-Za-z][A-Za-z0-9_]*)|(\#[A-Za-z0-9_]+)|(:[A-Za-z0-9_]+)|(0|[1-9][0-9]*)"
    r"|(<>|<=|>=|[=<>()\[\],.+\-])|([^ \t\r\n]))"
).match

_KINDS = (None, NAME, NAME_PLACEHOLDER, VALUE_PLACEHOLDER, INDEX, None, UNKNOWN)


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Every token, and END last."""
    tokens: list[Token] = []
    position = 0
    while found := _scan(text, position):
        group = found.lastindex or 0
        word = found[group]
        kind = _KINDS[group] or word
        if kind is NAME and word.upper() in KEYWORDS:
            kind = word.upper()
        position = found.end()
        tokens.append(Token(kind, word, position - len(word), position))
    tokens.append(Token(END, END, len(text), len(text)))
    return tokens
