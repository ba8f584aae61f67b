"""Catalogues on other machines: how long an answer is waited for, and what a failed one is called here.

E1. Every request has a bound: pyiceberg's REST client has none, and a catalogue that took a request and never answered
    would hold a table's flow for ever.
E2. No answer, throttling, a refusal of the service: `StoreUnavailable`, which passes (see following, F1). A commit whose
    answer was lost is `Unknown` before that (see table, T3).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import RESTError
from requests import Session

from penstock.errors import StoreUnavailable

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # boto3 is an extra; without it nothing raises these.
    _AWS: tuple[type[Exception], ...] = ()
else:
    _AWS = (BotoCoreError, ClientError)

CONNECT_S, ANSWER_S = 5.0, 30.0
# What a catalogue elsewhere raises when it does not do what was asked. requests' errors are OSErrors.
NO_ANSWER: tuple[type[Exception], ...] = (RESTError, OSError, *_AWS)
_REFUSED: tuple[type[Exception], ...] = (RESTError, *_AWS)


class BoundedRestCatalog(RestCatalog):
    """pyiceberg's, with a bound on every request (E1)."""

    def _create_session(self) -> Session:
        session = super()._create_session()
        session.request = partial(session.request, timeout=(CONNECT_S, ANSWER_S))  # type: ignore[method-assign]
        return session


@contextmanager
def asking(what: str) -> Iterator[None]:
    """E2, around a look into the catalogue. A damaged file of this machine is no answer of a catalogue."""
    try:
        yield
    except _REFUSED as error:
        raise StoreUnavailable(f"the catalogue of {what}: {error or type(error).__name__}") from error
