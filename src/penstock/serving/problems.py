"""What a prediction request can be refused for, each with the status that HTTP has for it."""

from __future__ import annotations

from penstock.errors import PenstockError


class RequestProblem(PenstockError):
    """An answer other than 200. `code` is for programs, the message for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def unknown_predictor(name: str, known: list[str]) -> RequestProblem:
    return RequestProblem(
        404, "UnknownPredictor", f"there is no predictor {name!r}; there is {', '.join(known) or 'none'}"
    )


def unknown_entity(name: str, wanted: str) -> RequestProblem:
    return RequestProblem(404, "UnknownEntity", f"this predictor is asked about a {wanted}, not a {name}")


def no_route(method: str, path: str, hint: str) -> RequestProblem:
    return RequestProblem(404, "NotFound", f"nothing answers {method} {path}; {hint}")


def wrong_method(method: str, path: str, methods: list[str]) -> RequestProblem:
    return RequestProblem(
        405, "MethodNotAllowed", f"{path} is asked with {' or '.join(methods)}, not {method}"
    )


def bad_request(message: str) -> RequestProblem:
    return RequestProblem(400, "BadRequest", message)


def missing_values(message: str) -> RequestProblem:
    return RequestProblem(422, "MissingValues", message)


def request_id_used(request_id: str) -> RequestProblem:
    return RequestProblem(
        409, "RequestIdUsed", f"request {request_id!r} was answered before, and asked for something else"
    )


def no_model(message: str) -> RequestProblem:
    """Nothing was promoted, or registered, under the name that a predictor declares: not yet, for the registry removes nothing."""
    return RequestProblem(503, "ModelMissing", message)


def model_unavailable(message: str) -> RequestProblem:
    """There is a version, and it cannot be had."""
    return RequestProblem(503, "ModelUnavailable", message)


def no_table(message: str) -> RequestProblem:
    return RequestProblem(503, "TableMissing", message)


def store_failed(message: str) -> RequestProblem:
    return RequestProblem(503, "StoreFailed", message)


def too_large(message: str) -> RequestProblem:
    return RequestProblem(413, "TooLarge", message)


def model_failed(message: str) -> RequestProblem:
    # A user's words may be no text that JSON holds.
    return RequestProblem(500, "ModelFailed", message.encode(errors="backslashreplace").decode())
