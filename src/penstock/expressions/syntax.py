"""What the parser makes of an expression: frozen trees, before any placeholder is looked up.

S1. Parentheses leave no node. Chains of AND and of OR are one node with all their terms, so that a tree
    is never deeper than its operators are many, and those are bounded (limits.EXPRESSION_OPERATORS_MAX).
S2. A Path's parts are names, placeholders (they start with #, which no name does) and list indexes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

DocumentPath: TypeAlias = tuple[str | int, ...]  # Resolved: real names and list indexes.


@dataclass(frozen=True, slots=True)
class Path:
    parts: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Value:
    placeholder: str


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Operand, ...]


Operand: TypeAlias = Path | Value | Call


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: str  # = <> < <= > >=
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    operand: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class In:
    operand: Operand
    candidates: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: Condition


Condition: TypeAlias = Comparison | Between | In | And | Or | Not | Call
CONDITION_TYPES = (Comparison, Between, In, And, Or, Not)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    operator: str  # + -
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Action:
    """One step of an update. REMOVE has no value; ADD and DELETE have a Value."""

    section: str  # SET REMOVE ADD DELETE
    path: Path
    value: Operand | Arithmetic | None = None


@dataclass(frozen=True, slots=True)
class Section:
    keyword: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed expression: how many operators and functions, which #names; and one of the three is filled."""

    operators: int
    placeholders: tuple[str, ...]
    condition: Condition | None = None
    sections: tuple[Section, ...] = ()
    paths: tuple[Path, ...] = ()


def path_text(path: DocumentPath) -> str:
    """A path as AWS's messages write it: [a, [0], b]."""
    return "[" + ", ".join(f"[{part}]" if isinstance(part, int) else part for part in path) + "]"
