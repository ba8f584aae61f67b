"""What the conformance tests say about answers: errors in AWS's exact words, items as sets of keys, all pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

Answer = dict[str, Any]


@contextmanager
def refused(code: str, message: str | None = None) -> Iterator[Answer]:
    """The request inside is answered with this error, and these very words. What else it says is left in the dict."""
    response: Answer = {}
    with pytest.raises(ClientError) as caught:
        yield response
    response.update(caught.value.response)
    assert response["Error"]["Code"] == code, response["Error"]
    if message is not None:
        assert response["Error"]["Message"] == message


def invalid(message: str) -> Any:
    return refused("ValidationException", message)


def constraint(count: int, *findings: str) -> str:
    """AWS's words for values that break a declared constraint."""
    return f"{count} validation error{'s' if count > 1 else ''} detected: {'; '.join(findings)}"


def s(text: str) -> Answer:
    return {"S": text}


def n(number: int | str) -> Answer:
    return {"N": str(number)}


def all_pages(call: Any, **request: Any) -> list[Answer]:
    """Every page of a Query or Scan."""
    pages = [call(**request)]
    while "LastEvaluatedKey" in pages[-1]:
        pages.append(call(**request, ExclusiveStartKey=pages[-1]["LastEvaluatedKey"]))
    return pages


def items_of(pages: list[Answer]) -> list[Answer]:
    return [item for page in pages for item in page["Items"]]


def values_of(items: list[Answer], name: str) -> list[str]:
    """One attribute's payload of each item."""
    return [next(iter(item[name].values())) for item in items]
