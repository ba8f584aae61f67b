"""Calls to DynamoDB on AWS through boto3, which is an extra: the same methods, answers and errors as the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
import botocore.exceptions

from penstock.connect.http import NoAnswer
from penstock.connect.json_caller import wrong_names
from penstock.connect.requests import REQUESTS
from penstock.errors import ServiceError, UsageError
from penstock.wire.codec import target_of
from penstock.wire.signing import AccessKey


class AwsCaller:
    """`Caller` over boto3's two clients. boto3 brings credentials, retries and the endpoints of regions."""

    def __init__(
        self, region: str, access_key: AccessKey | None = None, endpoint_url: str | None = None
    ) -> None:
        session = boto3.session.Session(
            region_name=region,
            aws_access_key_id=access_key.key_id if access_key else None,
            aws_secret_access_key=access_key.secret if access_key else None,
            aws_session_token=(access_key.token or None) if access_key else None,
        )
        self._tables = session.client("dynamodb", endpoint_url=endpoint_url)
        self._streams = session.client("dynamodbstreams", endpoint_url=endpoint_url)
        self._methods = {
            action: (
                self._streams if target_of(action).startswith("DynamoDBStreams") else self._tables,
                request,
            )
            for action, request in REQUESTS.items()
        }

    def call(self, action: str, params: Mapping[str, object], wait_ms: int = 0) -> dict[str, Any]:
        client, request = self._methods[action]
        if not (request.__required_keys__ <= params.keys() <= request.__annotations__.keys()):
            raise TypeError(wrong_names(action, params))
        try:
            answer: dict[str, Any] = client._make_api_call(action, dict(params))
        except botocore.exceptions.ParamValidationError as error:
            raise TypeError(str(error)) from error
        except botocore.exceptions.ClientError as error:
            raise service_error(error) from error
        except botocore.exceptions.BotoCoreError as error:
            # No connection, no credentials, no answer in time: what NoAnswer means for a server.
            raise NoAnswer(str(error)) from error
        answer.pop("ResponseMetadata", None)
        return answer

    def call_body(self, action: str, params: Mapping[str, object]) -> dict[str, Any]:
        return self.call(action, params)

    def call_own(self, action: str, params: Mapping[str, object]) -> dict[str, Any]:
        raise UsageError(f"{action} is Penstock's own and not known to AWS: ask a file: or http: client")

    @property
    def runs_engine(self) -> bool:
        return False

    def close(self) -> None:
        self._tables.close()
        self._streams.close()


def service_error(error: botocore.exceptions.ClientError) -> ServiceError:
    response = dict(error.response)
    about = response.pop("Error", {})
    status = response.pop("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    for repeated in ("message", "Message"):
        response.pop(repeated, None)
    return ServiceError(about.get("Code", "Unknown"), about.get("Message"), status=status, extra=response)
