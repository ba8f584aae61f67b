"""Signatures: made by botocore and checked here, and made here and recomputed by botocore. Every refusal is AWS's."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ServiceError, UsageError
from penstock.wire.signing import AccessKey, HttpRequest, Verifier, read_access_keys, sign

KEY = AccessKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SESSION_KEY = AccessKey("ASIAEXAMPLE", "secret", "token/with+signs==")
KEYS = {KEY.key_id: KEY, SESSION_KEY.key_id: SESSION_KEY}
NOW_S = 1_795_168_800.0  # 2026-11-20T10:00:00Z


def signed_by_botocore(
    key: AccessKey = KEY,
    *,
    body: bytes = b"{}",
    url: str = "http://127.0.0.1:8000/",
    service: str = "dynamodb",
    at_s: float = NOW_S,
    more: dict[str, str] | None = None,
) -> HttpRequest:
    """What boto3 sends, signed at a moment that the test chooses."""
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.GetItem",
        "Host": url.split("/")[2],
        **(more or {}),
    }
    request = AWSRequest("POST", url, headers=headers, data=body)
    auth = SigV4Auth(Credentials(key.key_id, key.secret, key.token or None), service, "us-east-1")
    # botocore reads the clock inside add_auth, so its steps are called one by one.
    request.context["timestamp"] = datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    auth._inject_signature_to_request(request, signature)
    path = "/" + url.split("/", 3)[3]
    sent = {name.lower().encode(): str(value).encode() for name, value in request.headers.items()}
    return HttpRequest(b"POST", path.encode(), sent, body)


def change(request: HttpRequest, **headers: str | None) -> HttpRequest:
    """The same request with headers replaced, or with None removed."""
    changed = dict(request.headers)
    for name, value in headers.items():
        raw = name.replace("_", "-").encode()
        changed.pop(raw, None)
        if value is not None:
            changed[raw] = value.encode()
    return HttpRequest(request.method, request.url, changed, request.body)


def refusal(request: HttpRequest, now_s: float = NOW_S) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        Verifier(KEYS).check(request, now_s)
    assert caught.value.status == 400
    return caught.value


def authorization(request: HttpRequest) -> str:
    return request.headers[b"authorization"].decode()


# Why: the first thing that must be right: what boto3 signs is taken, and says whose it is.
def test_what_botocore_signs_is_taken() -> None:
    assert Verifier(KEYS).check(signed_by_botocore(), NOW_S) == "AKIDEXAMPLE"


# Why: temporary credentials sign their token too.
def test_a_session_token_is_checked_with_its_key() -> None:
    request = signed_by_botocore(SESSION_KEY)
    assert Verifier(KEYS).check(request, NOW_S) == "ASIAEXAMPLE"
    for token in (None, "another"):
        error = refusal(change(request, x_amz_security_token=token))
        assert error.code == "UnrecognizedClientException"
    surplus = signed_by_botocore(AccessKey(KEY.key_id, KEY.secret, "token"))
    assert refusal(surplus).code == "UnrecognizedClientException"


# Why: paths and queries are canonicalised by rules of their own, spaces and repeated headers too.
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/",
        "http://127.0.0.1:8000/a/b",
        "http://127.0.0.1:8000/a%20b/c~d",
        "http://127.0.0.1:8000/?b=2&a=1",
        "http://127.0.0.1:8000/?x=a%2Fb&empty=",
    ],
)
def test_any_path_and_query_is_checked_as_it_was_signed(url: str) -> None:
    assert Verifier(KEYS).check(signed_by_botocore(url=url), NOW_S) == "AKIDEXAMPLE"


# Why: AWS collapses runs of spaces in signed values.
def test_spaces_in_signed_headers_are_collapsed() -> None:
    request = signed_by_botocore(more={"X-Amz-Note": "a b"})
    assert Verifier(KEYS).check(change(request, x_amz_note="  a   b "), NOW_S) == "AKIDEXAMPLE"


# Why: any change to what is signed must be found: body, target, path, method, header, signature, secret.
@pytest.mark.parametrize(
    "tamper",
    [
        lambda r: HttpRequest(r.method, r.url, r.headers, b'{"a":1}'),
        lambda r: HttpRequest(b"PUT", r.url, r.headers, r.body),
        lambda r: HttpRequest(r.method, b"/other", r.headers, r.body),
        lambda r: HttpRequest(r.method, b"/?a=1", r.headers, r.body),
        lambda r: change(r, x_amz_target="DynamoDB_20120810.DeleteTable"),
        lambda r: change(r, host="elsewhere"),
        lambda r: change(r, authorization=authorization(r)[:-1] + "x"),
        lambda r: change(
            r,
            authorization=authorization(r).replace("AKIDEXAMPLE", "ASIAEXAMPLE"),
            x_amz_security_token=SESSION_KEY.token,
        ),
    ],
)
def test_a_changed_request_does_not_match_its_signature(tamper: Callable[[HttpRequest], HttpRequest]) -> None:
    error = refusal(tamper(signed_by_botocore()))
    assert error.code == "InvalidSignatureException"


# Why: the message is the one that SDK users search for; behind it stands what should have been signed.
def test_a_wrong_signature_gets_awss_message() -> None:
    request = signed_by_botocore(AccessKey(KEY.key_id, "wrong"))
    message = refusal(request).message or ""
    assert message.startswith(
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )
    assert "The Canonical String for this request should have been\n'POST\n/\n" in message
    assert KEY.secret not in message


# Why: a client may send the hash of its body; one that does not fit the body is a changed body.
def test_a_declared_body_hash_must_fit_the_body() -> None:
    right = hashlib.sha256(b"{}").hexdigest()
    assert Verifier(KEYS).check(signed_by_botocore(more={"X-Amz-Content-SHA256": right}), NOW_S)
    wrong = signed_by_botocore(more={"X-Amz-Content-SHA256": "0" * 64})
    assert refusal(wrong).code == "InvalidSignatureException"


# Why: AWS takes a quarter of an hour either way, and says which times it compared.
def test_the_clock_may_be_a_quarter_of_an_hour_off() -> None:
    request = signed_by_botocore()
    assert Verifier(KEYS).check(request, NOW_S + 900)
    assert Verifier(KEYS).check(request, NOW_S - 900)
    late, early = refusal(request, NOW_S + 901), refusal(request, NOW_S - 901)
    assert late.code == early.code == "InvalidSignatureException"
    assert late.message == (
        "Signature expired: 20261120T100000Z is now earlier than 20261120T100001Z "
        "(20261120T101501Z - 15 min.)"
    )
    assert early.message == (
        "Signature not yet current: 20261120T100000Z is still later than 20261120T095959Z "
        "(20261120T094459Z + 15 min.)"
    )


# Why: without a signature, or with one of another kind, AWS asks for the token.
@pytest.mark.parametrize("header", [None, "", "Bearer abc", "Basic dXNlcjpwYXNz"])
def test_a_request_without_a_signature_is_missing_its_token(header: str | None) -> None:
    error = refusal(change(signed_by_botocore(), authorization=header))
    assert error.code == "MissingAuthenticationTokenException"
    assert error.message == "Request is missing Authentication Token"


# Why: AWS lists every part that is missing, and shows the header only as a digest.
def test_an_incomplete_signature_is_told_what_it_lacks() -> None:
    header = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/dynamodb/aws4_request"
    error = refusal(change(signed_by_botocore(), authorization=header, x_amz_date=None))
    digest = base64.b64encode(hashlib.sha256(header.encode()).digest()).decode()
    assert error.code == "IncompleteSignatureException"
    assert error.message == (
        "Authorization header requires 'Signature' parameter. "
        "Authorization header requires 'SignedHeaders' parameter. "
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
        f"(Hashed with SHA-256 and encoded with Base64) Authorization={digest}"
    )


# Why: each of these is a header that some client or attacker sends; none may end in a Python error.
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("AKIDEXAMPLE/", "NOBODY/", "UnrecognizedClientException"),
        ("/us-east-1/", "/", "IncompleteSignatureException"),
        ("/dynamodb/", "/s3/", "InvalidSignatureException"),
        ("/aws4_request", "/aws5_request", "InvalidSignatureException"),
        ("/20261120/", "/20261119/", "InvalidSignatureException"),
        ("host;", "", "InvalidSignatureException"),
        ("x-amz-target", "x-amz-other", "InvalidSignatureException"),
        ("x-amz-date;", "", "InvalidSignatureException"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "IncompleteSignatureException"),
        ("Signature=", "Signature=\udcff", "InvalidSignatureException"),
    ],
)
def test_a_wrong_part_of_the_header_is_refused_as_on_aws(old: str, new: str, code: str) -> None:
    request = signed_by_botocore()
    assert old in authorization(request)
    raw = authorization(request).replace(old, new, 1).encode("utf-8", "surrogateescape")
    changed = HttpRequest(
        request.method, request.url, {**request.headers, b"authorization": raw}, request.body
    )
    assert refusal(changed).code == code


# Why: a scope of another day, or a date that is none, has messages of its own.
def test_a_date_that_does_not_fit_is_explained() -> None:
    other_day = change(signed_by_botocore(), x_amz_date="20261121T100000Z")
    assert refusal(other_day).message == (
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        "'20261120' != '20261121', from '20261121T100000Z'."
    )
    no_date = change(signed_by_botocore(), x_amz_date="20261120 10:00")
    assert "Date must be in ISO-8601 'basic format'" in (refusal(no_date).message or "")


# Why: presigned URLs are not part of DynamoDB's clients; they are refused in words, also beside a header.
def test_a_presigned_request_is_refused_clearly() -> None:
    request = signed_by_botocore()
    url = b"/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"
    both = HttpRequest(request.method, url, request.headers, request.body)
    assert (refusal(both).message or "").startswith("Found both 'X-Amz-Algorithm'")
    alone = change(both, authorization=None)
    assert "Presigned" in (refusal(alone).message or "")


# Why: the edge gives whatever came over the wire to this check.
@given(st.binary(max_size=200), st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=60))
def test_no_bytes_in_the_headers_break_the_check(auth: bytes, date: bytes, token: bytes, url: bytes) -> None:
    start = b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/dynamodb/aws4_request, "
    for header in (auth, start + auth, start + b"SignedHeaders=host, Signature=" + auth):
        headers = {b"authorization": header, b"x-amz-date": date, b"date": date, b"host": token}
        with pytest.raises(ServiceError):
            Verifier(KEYS).check(HttpRequest(b"POST", b"/" + url, headers, b""), NOW_S)


# Why: the client signs with the same code; botocore must come to the same signature.
@pytest.mark.parametrize("key", [KEY, SESSION_KEY])
def test_what_is_signed_here_is_what_botocore_would_sign(key: AccessKey) -> None:
    theirs = signed_by_botocore(key)
    kept = (b"host", b"content-type", b"x-amz-target")
    plain = HttpRequest(b"POST", b"/", {name: theirs.headers[name] for name in kept}, theirs.body)
    ours = sign(plain, key, "us-east-1", NOW_S)
    assert ours[b"authorization"] == theirs.headers[b"authorization"]
    assert ours[b"x-amz-date"] == theirs.headers[b"x-amz-date"]


# Why: signing keys are kept, so the second check must not depend on the first one's scope.
def test_kept_signing_keys_do_not_mix_days() -> None:
    verifier = Verifier(KEYS)
    for day in range(3):
        at_s = NOW_S + day * 86400
        assert verifier.check(signed_by_botocore(at_s=at_s), at_s) == "AKIDEXAMPLE"


# Why: the two forms of the file, with comments, and keys with the signs that AWS's secrets have.
def test_a_file_of_access_keys_is_lines_or_toml() -> None:
    lines = "# ours\nAKIDEXAMPLE wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n\nASIA s3cr=t token\n"
    keys = read_access_keys(lines)
    assert keys["AKIDEXAMPLE"] == KEY
    assert keys["ASIA"] == AccessKey("ASIA", "s3cr=t", "token")
    assert read_access_keys(f'AKIDEXAMPLE = "{KEY.secret}"  # comment\n') == {"AKIDEXAMPLE": KEY}


# Why: a file that is wrong must stop the server, not open it.
@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "AKID\n", "AKID a b c\n", "A b\nA c\n", 'A = "b\n', "A = 5\n", 'A = ""\n']
)
def test_a_wrong_file_of_access_keys_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        read_access_keys(text)
