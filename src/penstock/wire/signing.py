"""Signature Version 4: who may call, decided from the request's bytes, the known keys and the time alone.

The client signs with the same canonical form that the server checks, so the form stands here once.
AWS: IAM User Guide, "Create a signed AWS API request" and "Troubleshoot signed requests".

Checks, in order, each with AWS's code and message:
  no Authorization header                 MissingAuthenticationTokenException
  parts of it missing                     IncompleteSignatureException
  unknown key, wrong or surplus token     UnrecognizedClientException
  scope, signed headers, date, skew       InvalidSignatureException
  body hash and signature                 InvalidSignatureException
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, quote

from penstock.errors import CORAL_NAMESPACE, ServiceError, UsageError

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_MIN = 15  # Minutes either way.
SIGNING_KEYS_MAX = 1024  # Ours: derived keys that are kept, one per key, day and region.
_STAMP = "%Y%m%dT%H%M%SZ"
_TOML_LINE = re.compile(r"""[\w"'-]+=["']""")


@dataclass(frozen=True, slots=True)
class AccessKey:
    key_id: str
    secret: str
    token: str = ""  # A session token. Empty: the key is used without one.


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it stands on the wire. Header names are lower-case; repeated ones are joined by commas."""

    method: bytes
    url: bytes
    headers: Mapping[bytes, bytes]
    body: bytes


def read_access_keys(text: str) -> dict[str, AccessKey]:
    """A file of access keys: lines `KEY_ID SECRET [TOKEN]`, or TOML `KEY_ID = "SECRET"`; # for comments."""
    lines = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    if any(line[1:2] == ["="] or _TOML_LINE.match(" ".join(line)) for line in lines):
        try:
            pairs = [[key_id, secret] for key_id, secret in tomllib.loads(text).items()]
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"The file of access keys is not valid TOML: {error}") from error
    else:
        pairs = [line for line in lines if line]
    keys: dict[str, AccessKey] = {}
    for pair in pairs:
        if not 2 <= len(pair) <= 3 or not all(isinstance(part, str) and part for part in pair):
            raise UsageError('A line of access keys is `KEY_ID SECRET`, or in TOML `KEY_ID = "SECRET"`')
        if pair[0] in keys:
            raise UsageError(f"The access key {pair[0]} is given twice")
        keys[pair[0]] = AccessKey(*pair)
    if not keys:
        raise UsageError("The file of access keys has no keys in it")
    return keys


class Verifier:
    """Checks requests against known keys. Holds nothing but the keys and what is derived from them."""

    def __init__(self, keys: Mapping[str, AccessKey]) -> None:
        self._keys = dict(keys)
        self._signing_keys: dict[tuple[str, str], bytes] = {}

    def check(self, request: HttpRequest, now_s: float) -> str:
        """The id of the key that signed the request, or the error that AWS would answer."""
        header = _authorization(request)
        stamp = _date_of(request)
        fields = _fields(header, stamp)
        key_id, *scope = _scope(fields["Credential"])
        key = self._known_key(key_id, request)
        _check_scope(scope, stamp)
        _check_skew(stamp, now_s)
        signed = fields["SignedHeaders"].split(";")
        _check_signed_headers(signed, request)
        claimed = request.headers.get(b"x-amz-content-sha256")
        body_hash = hashlib.sha256(request.body).hexdigest()
        if claimed is not None and not hmac.compare_digest(claimed, body_hash.encode()):
            raise _mismatch("", "")
        canonical = canonical_request(request, signed, body_hash)
        to_sign = string_to_sign(canonical, stamp, "/".join(scope))
        expected = _hmac(self._signing_key(key, scope), to_sign).hex()
        if not hmac.compare_digest(expected.encode(), fields["Signature"].encode("utf-8", "replace")):
            raise _mismatch(canonical, to_sign)
        return key_id

    def _known_key(self, key_id: str, request: HttpRequest) -> AccessKey:
        key = self._keys.get(key_id)
        token = request.headers.get(b"x-amz-security-token", b"")
        if key is None or not hmac.compare_digest(key.token.encode(), token):
            raise _refusal(
                "UnrecognizedClientException", "The security token included in the request is invalid."
            )
        return key

    def _signing_key(self, key: AccessKey, scope: list[str]) -> bytes:
        name = (key.key_id, "/".join(scope))
        found = self._signing_keys.get(name)
        if found is None:
            if len(self._signing_keys) >= SIGNING_KEYS_MAX:
                self._signing_keys.clear()
            found = self._signing_keys[name] = signing_key(key.secret, scope)
        return found


def sign(request: HttpRequest, key: AccessKey, region: str, now_s: float) -> dict[bytes, bytes]:
    """The headers that make `request` a signed one. Its headers must have `host`."""
    stamp = datetime.fromtimestamp(now_s, UTC).strftime(_STAMP)
    added = {b"x-amz-date": stamp.encode()}
    if key.token:
        added[b"x-amz-security-token"] = key.token.encode()
    whole = HttpRequest(request.method, request.url, {**request.headers, **added}, request.body)
    signed = sorted(name.decode() for name in whole.headers)
    scope = [stamp[:8], region, "dynamodb", "aws4_request"]
    canonical = canonical_request(whole, signed, hashlib.sha256(request.body).hexdigest())
    signature = _hmac(signing_key(key.secret, scope), string_to_sign(canonical, stamp, "/".join(scope))).hex()
    added[b"authorization"] = (
        f"{ALGORITHM} Credential={key.key_id}/{'/'.join(scope)}, "
        f"SignedHeaders={';'.join(signed)}, Signature={signature}"
    ).encode()
    return added


def canonical_request(request: HttpRequest, signed: list[str], body_hash: str) -> str:
    path, _, query = request.url.partition(b"?")
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    )
    lines = [
        request.method.decode(),
        quote(path, safe="/~") or "/",
        "&".join(f"{name}={value}" for name, value in pairs),
        *(f"{name}:{' '.join(_header(request, name).split())}" for name in signed),
        "",
        ";".join(signed),
        body_hash,
    ]
    return "\n".join(lines)


def string_to_sign(canonical: str, stamp: str, scope: str) -> str:
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}"


def signing_key(secret: str, scope: list[str]) -> bytes:
    key = ("AWS4" + secret).encode()
    for part in scope:
        key = _hmac(key, part)
    return key


def _authorization(request: HttpRequest) -> str:
    query = request.url.partition(b"?")[2]
    presigned = b"X-Amz-Algorithm=" in query
    header = request.headers.get(b"authorization", b"").decode("latin-1").strip()
    if presigned and header:
        raise _invalid(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
        )
    if presigned:
        raise _invalid("Presigned requests are not taken here: sign with the Authorization header.")
    if not header.startswith("AWS4-"):
        raise _refusal("MissingAuthenticationTokenException", "Request is missing Authentication Token")
    if header.split(" ")[0] != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{header.split(' ')[0][:40]}'.")
    return header


def _date_of(request: HttpRequest) -> str:
    """The time of signing as YYYYMMDDTHHMMSSZ, or nothing where the request does not say."""
    stamp = request.headers.get(b"x-amz-date", b"").decode("latin-1")
    if stamp:
        return stamp
    date = request.headers.get(b"date", b"").decode("latin-1")
    try:
        return parsedate_to_datetime(date).astimezone(UTC).strftime(_STAMP)
    except ValueError:
        return date


def _fields(header: str, stamp: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in header[len(ALGORITHM) :].split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    wrong = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not fields.get(name)
    ]
    if not stamp:
        wrong.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if wrong:
        # AWS shows the header as a digest, so that a signature never lands in a log.
        digest = base64.b64encode(hashlib.sha256(header.encode()).digest()).decode()
        shown = f"(Hashed with SHA-256 and encoded with Base64) Authorization={digest}"
        raise _incomplete(" ".join([*wrong, shown]))
    return fields


def _scope(credential: str) -> list[str]:
    parts = credential.split("/")
    if len(parts) != 5:
        raise _incomplete(
            "Credential must have exactly 5 slash-delimited elements, "
            f"e.g. keyid/date/region/service/term, got '{credential[:200]}'"
        )
    return parts


def _check_scope(scope: list[str], stamp: str) -> None:
    date, _, service, term = scope
    if service != "dynamodb":
        raise _invalid("Credential should be scoped to correct service: 'dynamodb'. ")
    if term != "aws4_request":
        raise _invalid(
            f"Credential should be scoped with a valid terminator: 'aws4_request', not '{term[:40]}'. "
        )
    if stamp[:8] != date:
        raise _invalid(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date[:40]}' != '{stamp[:8]}', from '{stamp[:40]}'."
        )


def _check_skew(stamp: str, now_s: float) -> None:
    try:
        signed = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise _incomplete(
            "Date must be in ISO-8601 'basic format'. "
            f"Got '{stamp[:40]}'. See http://en.wikipedia.org/wiki/ISO_8601"
        ) from None
    now = datetime.fromtimestamp(now_s, UTC).replace(microsecond=0)
    skew = timedelta(minutes=SKEW_MIN)
    if signed < now - skew:
        earliest = (now - skew).strftime(_STAMP)
        raise _invalid(
            f"Signature expired: {stamp} is now earlier than {earliest} ({now:{_STAMP}} - {SKEW_MIN} min.)"
        )
    if signed > now + skew:
        latest = (now + skew).strftime(_STAMP)
        raise _invalid(
            f"Signature not yet current: {stamp} is still later than {latest} "
            f"({now:{_STAMP}} + {SKEW_MIN} min.)"
        )


def _check_signed_headers(signed: list[str], request: HttpRequest) -> None:
    """These decide what a request does: a signature that leaves one of them out proves nothing about it."""
    if "host" not in signed:
        raise _invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    for name in ("x-amz-date", "x-amz-target", "x-amz-security-token"):
        if name.encode() in request.headers and name not in signed:
            raise _invalid(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")


def _header(request: HttpRequest, name: str) -> str:
    return request.headers.get(name.encode("latin-1", "replace"), b"").decode("utf-8", "surrogateescape")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("utf-8", "surrogateescape"), "sha256")


def _refusal(code: str, message: str) -> ServiceError:
    return ServiceError(code, message, namespace=CORAL_NAMESPACE)


def _incomplete(message: str) -> ServiceError:
    return _refusal("IncompleteSignatureException", message)


def _invalid(message: str) -> ServiceError:
    return _refusal("InvalidSignatureException", message)


def _mismatch(canonical: str, to_sign: str) -> ServiceError:
    message = (
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )
    if canonical:
        message += (
            f"\n\nThe Canonical String for this request should have been\n'{canonical}'"
            f"\n\nThe String-to-Sign should have been\n'{to_sign}'\n"
        )
    return _invalid(message)
