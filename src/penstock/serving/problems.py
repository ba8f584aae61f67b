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


def bad_request(message: str) -> RequestProblem:
    return RequestProblem(400, "BadRequest", message)


def missing_values(message: str) -> RequestProblem:
    return RequestProblem(422, "MissingValues", message)


def request_id_used(request_id: str) -> RequestProblem:
    return RequestProblem(
        409, "RequestIdUsed", f"request {request_id!r} was answered before, and asked for something else"
    )


def no_model(message: str) -> RequestProblem:
    return RequestProblem(503, "ModelMissing", message)


def no_table(message: str) -> RequestProblem:
    return RequestProblem(503, "TableMissing", message)


def store_failed(message: str) -> RequestProblem:
    return RequestProblem(503, "StoreFailed", message)


def model_failed(message: str) -> RequestProblem:
    # A user's words may be no text that JSON holds.
    return RequestProblem(500, "ModelFailed", message.encode(errors="backslashreplace").decode())
