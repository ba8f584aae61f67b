"""SageMaker's InvokeEndpoint, so that code written against a SageMaker endpoint runs unchanged.

    POST /endpoints/NAME/invocations
    Content-Type: application/json    {"customer_id": "c1", …}                 an entity, and request values
                                      {"features": {…}}                        the features themselves
                                      {"instances": [one of the above, …]}     many; the answer has "predictions"
                  text/csv            one row per line, the features in their declared order, no header
    Accept        as Content-Type where it is not said: application/json or text/csv

NAME is a predictor's name; SageMaker's own names have no underscore, so `will-buy` is `will_buy` as well. Of the headers
`X-Amzn-SageMaker-*`: Inference-Id goes on record as `inferenceId`, Target-Variant chooses who answers, and what belongs to
endpoints of other kinds (Target-Model, Target-Container-Hostname, Inference-Component, Session-Id) is refused.

The variants of an endpoint are the predictor's model and, where it answers for a share, its challenger, each as it is declared.
The answer names one with its version in `x-Amzn-Invoked-Production-Variant`: `will_buy@champion:3`. Target-Variant is such a name
with the version that is served now, or without one; then nobody else answers, neither by share nor where the variant fails.

Errors are SageMaker's. ValidationError (400): what its front would refuse, such as an endpoint that is not there. ModelError
(424, with OriginalStatusCode and OriginalMessage): what a container would say, of a body that it cannot read or a model that
failed. ServiceUnavailable (503).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from penstock.features.definition import Plan
from penstock.serving.json_bodies import json_object
from penstock.serving.live_models import Loaded
from penstock.serving.predict import Asked
from penstock.serving.problems import RequestProblem, bad_request

JSON, CSV = "application/json", "text/csv"
ROWS_MAX = 1000
ACCOUNT = "000000000000"
BODY_BYTES_MAX = 6 * 1024 * 1024  # InvokeEndpoint takes bodies of up to 6 MB.


@dataclass(frozen=True)
class Invocation:
    """A parsed body: what is asked for each row, and whether one answer or a list is wanted."""

    rows: list[Asked]
    many: bool
    accept: str


def parse(
    plan: Plan,
    body: bytes,
    content_type: str,
    accept: str,
    received_s: float,
    inference_id: str | None = None,
    target: Loaded | None = None,
) -> Invocation:
    kind = content_type.partition(";")[0].strip().lower() or JSON
    if len(body) > BODY_BYTES_MAX:
        raise RequestProblem(413, "ValidationError", f"a body has at most {BODY_BYTES_MAX} bytes")
    if kind == CSV:
        rows, many = _csv_rows(plan, body), True
    elif kind == JSON:
        rows, many = _json_rows(body)
    else:
        raise RequestProblem(415, "BadContent", f"the body is {JSON} or {CSV}, not {content_type}")
    if not 1 <= len(rows) <= ROWS_MAX:
        raise bad_request(f"a call has 1 to {ROWS_MAX} rows, not {len(rows)}")
    wanted = accept.partition(";")[0].partition(",")[0].strip().lower()
    if wanted in ("", "*/*", "application/*"):
        wanted = kind
    if wanted not in (JSON, CSV):
        raise RequestProblem(406, "BadAccept", f"the answer is {JSON} or {CSV}, not {accept}")
    asked = [
        msgspec.structs.replace(_asked(plan, row, received_s), inference_id=inference_id, target=target)
        for row in rows
    ]
    return Invocation(asked, many, wanted)


def _json_rows(body: bytes) -> tuple[list[Mapping[str, Any]], bool]:
    held = json_object(body)
    instances = held.get("instances")
    if instances is None:
        return [held], False
    if not isinstance(instances, list) or not all(isinstance(each, dict) for each in instances):
        raise bad_request("instances is a list of objects")
    return instances, True


def _csv_rows(plan: Plan, body: bytes) -> list[Mapping[str, Any]]:
    try:
        lines = [line for line in csv.reader(io.StringIO(body.decode())) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise bad_request(f"the body is no CSV: {error}") from error
    for number, line in enumerate(lines, 1):
        if len(line) != len(plan.order):
            raise bad_request(
                f"line {number} has {len(line)} values; the features are {', '.join(plan.order)}"
            )
    return [{"features": dict(zip(plan.order, map(_csv_value, line), strict=True))} for line in lines]


def _csv_value(text: str) -> Any:
    if text == "":
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    if math.isinf(number):
        raise bad_request(f"{text} is no number that a model can take")
    return None if math.isnan(number) else number


def _asked(plan: Plan, row: Mapping[str, Any], received_s: float) -> Asked:
    features = row.get("features")
    if features is not None:
        if not isinstance(features, dict) or not all(
            value is None or isinstance(value, bool | int | float | str) for value in features.values()
        ):
            raise bad_request("features is an object of numbers, texts and nulls")
        return Asked(None, features, None, None, received_s)
    entity = row.get(plan.entity, row.get(plan.entity_name))
    if not isinstance(entity, str | int) or isinstance(entity, bool):
        raise bad_request(f"give {plan.entity!r} to look features up, or 'features' to bring them")
    known = {value.name for value in plan.requested.values()}
    unknown = sorted(row.keys() - known - {plan.entity, plan.entity_name})
    if unknown:
        raise bad_request(f"unknown members {', '.join(unknown)}")
    return Asked(str(entity), {name: row[name] for name in row.keys() & known}, None, None, received_s)


def render(invocation: Invocation, answers: Sequence[Mapping[str, Any]]) -> bytes:
    if invocation.accept == CSV:
        lines = [
            f"{answer['prediction']}"
            + ("" if answer["probability"] is None else f",{answer['probability']!r}")
            for answer in answers
        ]
        return "\n".join(lines).encode() + b"\n"
    return orjson.dumps({"predictions": list(answers)} if invocation.many else answers[0])


REFUSED_HEADERS = {
    "x-amzn-sagemaker-target-model": "is no multi-model endpoint",
    "x-amzn-sagemaker-target-container-hostname": "has no containers to choose from",
    "x-amzn-sagemaker-inference-component": "has no inference components",
    "x-amzn-sagemaker-session-id": "keeps no sessions",
}
VARIANT_HEADER = "x-amzn-sagemaker-target-variant"
INFERENCE_ID_HEADER = "x-amzn-sagemaker-inference-id"
INFERENCE_ID_CHARACTERS_MAX = 64


class EndpointProblem(RequestProblem):
    """What SageMaker's front refuses before a model is asked."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "ValidationError", message)


def predictor_named(endpoint: str, known: Container[str]) -> str:
    if endpoint not in known and endpoint.replace("-", "_") in known:
        return endpoint.replace("-", "_")
    if endpoint not in known:
        raise EndpointProblem(f"Endpoint {endpoint} of account {ACCOUNT} not found.")
    return endpoint


def check_headers(endpoint: str, headers: Mapping[str, str]) -> str | None:
    """The caller's inference id. `headers` by their names in lower case."""
    for name, why in REFUSED_HEADERS.items():
        if name in headers:
            raise EndpointProblem(f"Endpoint {endpoint} {why}; leave out {name}")
    inference_id = headers.get(INFERENCE_ID_HEADER)
    if inference_id is not None and not 1 <= len(inference_id) <= INFERENCE_ID_CHARACTERS_MAX:
        raise EndpointProblem(f"{INFERENCE_ID_HEADER} has 1 to {INFERENCE_ID_CHARACTERS_MAX} characters")
    return inference_id


def variant_named(endpoint: str, variant: str, served: Mapping[str, Loaded]) -> Loaded:
    for name, loaded in served.items():
        if variant in (name, _with_version(name, loaded)):
            return loaded
    has = ", ".join(_with_version(name, loaded) for name, loaded in served.items())
    raise EndpointProblem(f"Variant {variant} not found for Endpoint {endpoint}; it has {has}")


def variant_of(model: str, answered: Loaded, served: Mapping[str, Loaded]) -> str:
    """The name of the variant that answered; `model` is what a version goes by that is served no more."""
    names = (name for name, loaded in served.items() if loaded.version.name == answered.version.name)
    return _with_version(next(names, model), answered)


def _with_version(name: str, loaded: Loaded) -> str:
    return f"{name}:{loaded.version.number}"


def error_body(problem: RequestProblem) -> tuple[int, str, bytes]:
    """Status, SageMaker's error code, body."""
    if isinstance(problem, EndpointProblem) or problem.status == 413:
        return problem.status, "ValidationError", orjson.dumps({"Message": problem.message})
    if problem.status == 503:
        return 503, "ServiceUnavailable", orjson.dumps({"Message": problem.message})
    kind = "server" if problem.status >= 500 else "client"
    body = {
        "Message": f'Received {kind} error ({problem.status}) from primary with message "{problem.message}".',
        "OriginalStatusCode": problem.status,
        "OriginalMessage": problem.message,
        "LogStreamArn": "",
    }
    return 424, "ModelError", orjson.dumps(body)
