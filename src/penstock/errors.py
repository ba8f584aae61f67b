"""Every error that Penstock raises on purpose, in one tree.

    PenstockError
    ├── ServiceError          an answer that AWS would give: a code, a message, an HTTP status
    ├── Corruption            bytes on disk that are not what was written
    ├── StoreUnavailable      the disk refuses for now: it is full
    │   └── StoreLost         a write or sync failed in a way that only opening the store again can mend
    └── UsageError            the caller's own mistake outside the AWS API (a bad URL, use after fork)

One factory per AWS error code stands below the classes, so that a code and its status are written once.
`ServiceError.response` has botocore's shape: code written for `ClientError` reads it unchanged.
"""

from __future__ import annotations

from typing import Any

DYNAMODB_NAMESPACE = "com.amazonaws.dynamodb.v20120810#"
CORAL_NAMESPACE = "com.amazon.coral.service#"
CORAL_VALIDATE_NAMESPACE = "com.amazon.coral.validate#"
CORAL_AVAILABILITY_NAMESPACE = "com.amazon.coral.availability#"


class PenstockError(Exception):
    """The root: `except PenstockError` catches everything that this package raises on purpose."""


class ServiceError(PenstockError):
    """An error answer of the AWS API. `extra` holds further members of the body, such as Item."""

    def __init__(
        self,
        code: str,
        message: str | None,
        *,
        status: int = 400,
        namespace: str = DYNAMODB_NAMESPACE,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.namespace = namespace
        self.extra = extra or {}

    @property
    def response(self) -> dict[str, Any]:
        """The shape of botocore's `ClientError.response`."""
        return {
            "Error": {"Code": self.code, "Message": self.message or ""},
            "ResponseMetadata": {"HTTPStatusCode": self.status},
            **self.extra,
        }


class Corruption(PenstockError):
    """Bytes on disk are not what was written. Never answered as data, never skipped."""


class StoreUnavailable(PenstockError):
    """The disk does not take the write. Reads go on; writes may be tried again."""


class StoreLost(StoreUnavailable):
    """The store takes no more writes. What the failed one left on the disk shows when the directory is opened again."""


class UsageError(PenstockError):
    """A mistake in how Penstock is called that AWS has no word for."""


def validation(message: str) -> ServiceError:
    return ServiceError("ValidationException", message, namespace=CORAL_VALIDATE_NAMESPACE)


def invalid_parameter(message: str) -> ServiceError:
    """The prefix that AWS puts before most findings about values."""
    return validation(f"One or more parameter values were invalid: {message}")


def serialization(message: str) -> ServiceError:
    return ServiceError("SerializationException", message, namespace=CORAL_NAMESPACE)


def unknown_operation() -> ServiceError:
    return ServiceError("UnknownOperationException", None, namespace=CORAL_NAMESPACE)


def not_built(action: str) -> ServiceError:
    """As UnknownOperationException, which clients do not send again, but with a reason; AWS gives it none."""
    message = f"{action} is not built in Penstock; docs/compatibility.md lists what is"
    return ServiceError("UnknownOperationException", message, namespace=CORAL_NAMESPACE)


def table_not_found(name: str | None = None) -> ServiceError:
    """Item operations answer without the name, table operations with it."""
    if name is None:
        return ServiceError("ResourceNotFoundException", "Requested resource not found")
    return ServiceError("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")


def resource_not_found(message: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", message)


def resource_in_use(message: str) -> ServiceError:
    return ServiceError("ResourceInUseException", message)


def limit_exceeded(message: str) -> ServiceError:
    return ServiceError("LimitExceededException", message)


def condition_failed(item: dict[str, Any] | None = None) -> ServiceError:
    return ServiceError(
        "ConditionalCheckFailedException",
        "The conditional request failed",
        extra=None if item is None else {"Item": item},
    )


def throughput_exceeded(reasons: list[dict[str, str]] | None = None) -> ServiceError:
    return ServiceError(
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for the table was exceeded. "
        "Consider increasing your provisioning level with the UpdateTable API.",
        extra={"ThrottlingReasons": reasons} if reasons else None,
    )


def throttling(message: str, reasons: list[dict[str, str]]) -> ServiceError:
    return ServiceError(
        "ThrottlingException",
        message,
        namespace=CORAL_AVAILABILITY_NAMESPACE,
        extra={"throttlingReasons": reasons} if reasons else None,
    )


def transaction_canceled(message: str, reasons: list[dict[str, Any]]) -> ServiceError:
    return ServiceError("TransactionCanceledException", message, extra={"CancellationReasons": reasons})


def transaction_conflict() -> ServiceError:
    return ServiceError("TransactionConflictException", "Transaction is ongoing for the item")


def idempotent_parameter_mismatch(message: str) -> ServiceError:
    return ServiceError("IdempotentParameterMismatchException", message)


def duplicate_item(message: str = "Duplicate primary key exists in table") -> ServiceError:
    return ServiceError("DuplicateItemException", message)


def expired_iterator(message: str) -> ServiceError:
    return ServiceError("ExpiredIteratorException", message)


def trimmed_data(message: str) -> ServiceError:
    return ServiceError("TrimmedDataAccessException", message)


def access_denied(message: str) -> ServiceError:
    return ServiceError("AccessDeniedException", message, namespace=CORAL_NAMESPACE)


def internal(message: str) -> ServiceError:
    return ServiceError("InternalServerError", message, status=500)
