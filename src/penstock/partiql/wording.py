"""AWS's sentences about PartiQL, each written once.

W1. A statement that cannot be read gives "Statement wasn't well formed, can't be processed: " and a detail; where
    no token could be made of the text, nothing follows the colon.
W2. What is wrong with a value of a literal ends in its path: " under root.a[0]".
W3. Findings about expressions carry no "Invalid FilterExpression: " in front, as they do elsewhere: `unprefixed`.
"""

from __future__ import annotations

import re

from penstock.errors import ServiceError, invalid_parameter, validation

UNEXPECTED_TERM = "Unexpected term"
UNEXPECTED_KEYWORD = "Unexpected keyword"
UNEXPECTED_OPERATOR = "Unexpected operator"
LEFTOVER = "Unexpected token after expression"
NO_RIGHT_SIDE = "Missing right-hand side expression of infix operator"
NOT_DATA_MANIPULATION = "Expected data manipulation"
NO_SIMPLE_PATH = "Expected identifier for simple path"
NO_TYPE_NAME = "Expected type name"
STAR_NOT_ALONE = (
    "Other expressions may not be present in the select list when '*' is used without dot notation."
)

_prefix = re.compile(r"Invalid [A-Za-z]+Expression: ").match


def unprefixed(message: str) -> str:
    """A message of the expression engine as PartiQL says it: see W3."""
    found = _prefix(message)
    return message if found is None else message[found.end() :]


def malformed(detail: str = "") -> ServiceError:
    return validation(f"Statement wasn't well formed, can't be processed: {detail}")


def incorrect_operand(operator: str, type_: str) -> ServiceError:
    return validation(
        "Incorrect operand type for operator or function; "
        f"operator or function: {operator}, operand type: {type_}"
    )


def unsupported_operator(operator: str) -> ServiceError:
    return validation(f"Unsupported operator in Condition Expression. Operator: {operator}")


def unsupported_operation(name: str) -> ServiceError:
    return validation(f"Unsupported operation: {name}")


def unsupported_is_type(name: str) -> ServiceError:
    return validation(
        f"Unsupported data type for IS operator: {name}. "
        "Supported data types are [MISSING, NULL, BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST]"
    )


def too_deep(path: str = "") -> ServiceError:
    return validation(f"Nesting Levels have exceeded supported limits{path and ' under ' + path}")


def parameter_count() -> ServiceError:
    return validation("Number of parameters in request and statement don't match.")


def incomplete_key() -> ServiceError:
    return validation("Where clause does not contain a mandatory equality on all key attributes")


def not_projected_filter(index: str, names: list[str]) -> ServiceError:
    """Says neither Global nor Local, on either kind: only PartiQL words it so."""
    return invalid_parameter(
        f"Secondary index {index} does not project one or more filter attributes: [{', '.join(names)}]"
    )


def overlapping() -> ServiceError:
    return validation("Overlapping conditions with range keys are not supported in where clause")


def too_many_reads() -> ServiceError:
    return validation("Too many decomposed read operations for a given query.")


def key_type(name: str) -> ServiceError:
    return validation(f"Key attribute's data type should match its data type in table's schema: Key {name}")
