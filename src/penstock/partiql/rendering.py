"""Conditions, paths and values as DynamoDB's expression strings, with placeholders for every name and value.

R1. Every name and value is a placeholder, so that no reserved word and no quote can come through.
R2. Equal names share one placeholder; each value has its own.
R3. No parentheses but those that are needed: AWS refuses doubled ones as redundant.
"""

from __future__ import annotations

from typing import Any

from penstock.model.values import AttributeValue
from penstock.partiql.conditions import (
    Choice,
    Comparison,
    Condition,
    Every,
    Negation,
    Operand,
    Range,
    Size,
    Some,
    Test,
    Value,
)
from penstock.partiql.syntax import Path

_SOME, _EVERY, _NOT, _ATOM = range(4)  # What binds more tightly is larger.


class Placeholders:
    """The names and values of one request."""

    __slots__ = ("names", "values")

    def __init__(self) -> None:
        self.names: dict[str, str] = {}  # From the attribute to its placeholder.
        self.values: dict[str, AttributeValue] = {}

    def name(self, attribute: str) -> str:
        placeholder = self.names.get(attribute)
        if placeholder is None:
            placeholder = self.names[attribute] = f"#{len(self.names)}"
        return placeholder

    def value(self, value: AttributeValue) -> str:
        placeholder = f":{len(self.values)}"
        self.values[placeholder] = value
        return placeholder

    def path(self, path: Path) -> str:
        text = self.name(path.root)
        for step in path.steps:
            text += f"[{step}]" if isinstance(step, int) else "." + self.name(step)
        return text

    def operand(self, operand: Operand) -> str:
        match operand:
            case Path():
                return self.path(operand)
            case Size(path):
                return f"size({self.path(path)})"
            case Value(value):
                return self.value(value)

    def condition(self, condition: Condition) -> str:
        return self._condition(condition)[0]

    def fill(self, request: dict[str, Any]) -> None:
        """The request's two maps; AWS refuses an empty one."""
        if self.names:
            request["ExpressionAttributeNames"] = {mark: name for name, mark in self.names.items()}
        if self.values:
            request["ExpressionAttributeValues"] = self.values

    def _condition(self, condition: Condition) -> tuple[str, int]:
        match condition:
            case Some(parts):
                return " OR ".join([self._within(part, _SOME) for part in parts]), _SOME
            case Every(parts):
                return " AND ".join([self._within(part, _EVERY) for part in parts]), _EVERY
            case Negation(part):
                return "NOT " + self._within(part, _NOT), _NOT
            case Comparison(operator, left, right):
                return f"{self.operand(left)} {operator} {self.operand(right)}", _ATOM
            case Range(subject, low, high):
                # AND binds the ends of BETWEEN first.
                text = f"{self.operand(subject)} BETWEEN {self.operand(low)} AND {self.operand(high)}"
                return text, _ATOM
            case Choice(subject, choices):
                listed = ", ".join([self.operand(choice) for choice in choices])
                return f"{self.operand(subject)} IN ({listed})", _ATOM
            case Test(function, operands):
                return f"{function}({', '.join([self.operand(one) for one in operands])})", _ATOM

    def _within(self, part: Condition, binding: int) -> str:
        text, own = self._condition(part)
        return f"({text})" if own < binding else text
