"""Transactions: all of several decisions or none, with one reason per action where it is none.

T1. Every action is decided against the same state; no two may be on one item, so no order between them matters.
T2. The reasons are positional: `None` for an action that would have gone through.
T3. A ClientRequestToken makes a retry within ten minutes answer as the first call did, and writes nothing again; the
    same token with other actions is refused. The token is written in the same batch as what it stands for.

META keys
    token/TOKEN                      expiry, microseconds (8) | fingerprint (32)
    token-expiry/MICROSECONDS TOKEN  the same tokens by age, for the sweep
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import orjson

from penstock import errors
from penstock.engine.plans import Context, Plan
from penstock.errors import ServiceError
from penstock.limits import TRANSACTION_TOKEN_S

TOKEN, TOKEN_EXPIRY = b"token/", b"token-expiry/"
_A = TypeVar("_A")
_R = TypeVar("_R")

# Codes of the reasons, where they differ from the name of the exception that the action alone would raise.
REASONS = {
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "ValidationException": "ValidationError",
    "ItemCollectionSizeLimitExceededException": "ItemCollectionSizeLimitExceeded",
    "ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded",
    "TransactionConflictException": "TransactionConflict",
    "DuplicateItemException": "DuplicateItem",
}


def decide_all(actions: Iterable[_A], decide: Callable[[_A], _R]) -> list[_R]:
    """Decide every action; if one cannot be done, raise TransactionCanceledException with the reasons of all."""
    decided: list[_R] = []
    reasons: list[dict[str, Any]] = []
    for action in actions:
        try:
            decided.append(decide(action))
            reasons.append({"Code": "None"})
        except ServiceError as error:
            code = REASONS.get(error.code)
            if code is None:
                raise
            reasons.append({"Code": code, "Message": error.message, **error.extra})
    if len(decided) < len(reasons):
        raise canceled(reasons)
    return decided


def canceled(reasons: list[dict[str, Any]]) -> ServiceError:
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    return errors.transaction_canceled(message, reasons)


def fingerprint(actions: object) -> bytes:
    return hashlib.sha256(orjson.dumps(actions, option=orjson.OPT_SORT_KEYS)).digest()


def was_done(token: str, print_: bytes, context: Context) -> bool:
    """True where this token's actions were carried out already; raises where they were others."""
    held = context.view.get_meta(TOKEN + token.encode())
    if held is None or int.from_bytes(held[:8], "big") <= context.now_us:
        return False
    if held[8:] != print_:
        raise errors.idempotent_parameter_mismatch(
            "Request parameters do not match the parameters used with the same client token in an earlier request."
        )
    return True


def remember(plan: Plan, token: str, print_: bytes, context: Context) -> None:
    expiry = (context.now_us + TRANSACTION_TOKEN_S * 1_000_000).to_bytes(8, "big")
    name = token.encode()
    plan.meta = [*plan.meta, (TOKEN + name, expiry + print_), (TOKEN_EXPIRY + expiry + name, b"")]
