"""What the parser makes of a statement: frozen trees that depend on the text alone.

A statement is parsed once and bound to parameters and to a table at each call, so no parameter's value, no key
schema and no decision is in here. Literals hold their canonical AttributeValue already: they cannot change.

S1. Chains of AND and of OR are one node with all their parts; parentheses leave no node.
S2. Number, Listing, Tuple and Bag are gone from a finished statement: literals.settle has made them Literals. Only
    INSERT's item stays a Tuple, of Literals and Parameters.
S3. A tree's depth is bounded (terms.DEPTH_MAX), so that walking it cannot run out of stack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from penstock.model.values import AttributeValue


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token stands. AWS quotes it as line:column:length, counted from 1."""

    line: int
    column: int
    length: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}:{self.length}"


NOWHERE = Place(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Path:
    """A document path: the attribute, then names of map members and indexes of lists."""

    root: str
    steps: tuple[str | int, ...]
    place: Place

    def same_as(self, other: Path) -> bool:
        return self.root == other.root and self.steps == other.steps

    @property
    def column(self) -> str:
        """The name in a result: from the last name on, so that a.b[0] answers `b[0]`."""
        text = ""
        for step in reversed(self.steps):
            if isinstance(step, str):
                return step + text
            text = f"[{step}]{text}"
        return self.root + text


@dataclass(frozen=True, slots=True)
class Parameter:
    index: int
    place: Place


@dataclass(frozen=True, slots=True)
class Literal:
    """A value in full. `value` is shared by every call: nobody writes to it."""

    value: AttributeValue


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class Listing:
    """[a, b]: a list value, or what IN chooses from."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Tuple:
    """{'a': 1}: a map value, or the item of INSERT."""

    fields: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Bag:
    """<<1, 2>>: a set."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Call:
    name: str  # In lower case; functions may be written in any.
    arguments: tuple[Expression, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Compare:
    operator: str  # = <> < <= > >=
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Between:
    subject: Expression
    low: Expression
    high: Expression


@dataclass(frozen=True, slots=True)
class In:
    subject: Expression
    choices: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Is:
    subject: Expression
    type_name: str


@dataclass(frozen=True, slots=True)
class Not:
    part: Expression


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    operator: str  # + - * / % || LIKE, and a sign in front of what is no number: with one operand.
    left: Expression
    right: Expression | None


Expression: TypeAlias = (
    Path
    | Parameter
    | Literal
    | Number
    | Listing
    | Tuple
    | Bag
    | Call
    | Compare
    | Between
    | In
    | Is
    | Not
    | And
    | Or
    | Arithmetic
)
CONDITION_TYPES = (Compare, Between, In, Is, Not, And, Or)


@dataclass(frozen=True, slots=True)
class Source:
    """What FROM, INTO or UPDATE names."""

    table: str
    index: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    attribute: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Select:
    source: Source
    columns: tuple[Path, ...] | None  # None is *.
    where: Expression | None = None
    order: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True)
class Exists:
    """EXISTS(SELECT …): the condition check of a transaction."""

    select: Select


@dataclass(frozen=True, slots=True)
class Insert:
    source: Source
    item: Tuple


@dataclass(frozen=True, slots=True)
class Assignment:
    """SET path = value, or REMOVE path where there is no value."""

    path: Path
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Update:
    source: Source
    assignments: tuple[Assignment, ...]
    where: Expression | None
    returning: str | None  # "ALL OLD", "ALL NEW", "MODIFIED OLD", "MODIFIED NEW"


@dataclass(frozen=True, slots=True)
class Delete:
    source: Source
    where: Expression | None
    returning: str | None


@dataclass(frozen=True, slots=True)
class Statement:
    body: Select | Exists | Insert | Update | Delete
    parameters: int  # How many ? it has.
