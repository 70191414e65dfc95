"""ASGI middleware that takes requests signed with a known key and refuses all others, as AWS does.

A signature is checked, not only the access key: the id alone stands in logs and presigned addresses. The check costs
about as much as reading the headers; it uses MiniStack's primitives of Signature Version 4 (header, presigned address,
Version 4A and signed chunks) and botocore's signer for Version 2, with which boto3 presigns addresses of S3.

Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html (Version 4), and
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html (Version 2, path-style addresses only).
"""

from __future__ import annotations

import hmac
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from botocore.auth import HmacV1Auth
from botocore.awsrequest import HTTPHeaders
from botocore.credentials import Credentials as SignerCredentials
from ministack.core import sigv4
from ministack.core.iam_actions import access_denied_response
from ministack.core.responses import fix_error_content_type
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ROUTED_BYTES = 64 * 1024
"""As much of a refused request's body is kept to find the service that it calls."""
_VERSION_2 = "AWS "


class Refused(Exception):
    """A request whose signature is not taken; `code` is the name in MiniStack's table of failed authentications."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def unknown_key() -> Refused:
    """The refusal of an access key that does not exist."""
    return Refused("UnrecognizedClientException", "The security token included in the request is invalid.")


@dataclass(frozen=True)
class SignedRequest:
    """The parts of a request that a signature covers, without its body; names of headers are in lower case."""

    method: str
    path: str
    raw_path: str
    raw_query: str
    query: dict[str, list[str]]
    headers: dict[str, str]

    @classmethod
    def of(cls, scope: Scope) -> SignedRequest:
        """The request of an ASGI scope. A header on several lines is signed as its values joined by commas."""
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key, text = name.decode("latin-1").lower(), sigv4.decode_header_value(value)
            headers[key] = f"{headers[key]},{text}" if key in headers else text
        raw_query = scope["query_string"].decode("latin-1")
        raw_path = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
        query = parse_qs(raw_query, keep_blank_values=True)
        return cls(scope["method"], scope["path"], raw_path, raw_query, query, headers)

    def value(self, name: str) -> str:
        """The first value of a query parameter, or an empty string."""
        return self.query.get(name, [""])[0]

    @property
    def token(self) -> str:
        """The session token of temporary credentials, or an empty string."""
        in_query = self.query.get("X-Amz-Security-Token") or self.query.get("x-amz-security-token") or [""]
        return self.headers.get("x-amz-security-token") or in_query[0]


SecretOf = Callable[[str, str], Awaitable[str]]
"""The secret of an access key with its session token (empty without one). Raises `Refused` for an unknown key."""
ServiceOf = Callable[[SignedRequest, bytes], str]
"""MiniStack's name of the service that a request and the beginning of its body call; it decides an error's form."""


class Authentication:
    """Lets in what a known key has signed."""

    def __init__(self, app: ASGIApp, secret_of: SecretOf, service_of: ServiceOf) -> None:
        self._app = app
        self._secret_of = secret_of
        self._service_of = service_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not signed"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = SignedRequest.of(scope)
        body: bytes | None = None
        try:
            signature = _signature(request)
            secret = await self._secret_of(signature.access_key_id, request.token)
            body = await read_body(receive)
            signature.check(request, secret, body)
        except Refused as refused:
            # To its end, since clients send all of a body before they read the answer.
            kept = await read_body(receive, ROUTED_BYTES) if body is None else body
            await _refuse(send, self._service_of(request, kept), request, refused)
            return
        await self._app(scope, replayed(body, receive), send)


async def read_body(receive: Receive, keep: int | None = None) -> bytes:
    """The request's body; of a long one only the pieces before `keep` bytes, the rest is read and dropped."""
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if keep is None or size < keep:
            pieces.append(message.get("body", b""))
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Gives a body that has been read once more, then whatever follows it."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return pending.pop() if pending else await receive()

    return next_message


@dataclass(frozen=True)
class _Version4:
    parts: sigv4.HeaderSignature
    presigned: bool

    @property
    def access_key_id(self) -> str:
        return str(self.parts.access_key_id)

    def check(self, request: SignedRequest, secret: str, body: bytes) -> None:
        """Raise `Refused` for a signature that is out of date or was made with another secret."""
        late = self._expired(request) if self.presigned else sigv4.request_time_failure(self.parts)
        failure = late or sigv4.header_signature_failure(
            self.parts,
            secret,
            request.method,
            request.raw_path,
            request.query,
            request.headers,
            body,
            presigned=self.presigned,
        )
        if failure:
            raise Refused(*failure)

    def _expired(self, request: SignedRequest) -> tuple[str, str] | None:
        try:
            expired = sigv4.presigned_request_is_expired(self.parts.amz_date, request.value("X-Amz-Expires"))
        except (ValueError, OverflowError):
            expired = True
        return ("RequestExpired", "Request has expired") if expired else None


class _Signer(HmacV1Auth):  # type: ignore[misc]
    """botocore's signer of Version 2, for the date that the caller signed instead of the present."""

    def __init__(self, credentials: SignerCredentials, date: str) -> None:
        super().__init__(credentials)
        self._date = date

    def _get_date(self) -> str:
        return self._date


@dataclass(frozen=True)
class _Version2:
    access_key_id: str
    signature: str
    presigned: bool

    def check(self, request: SignedRequest, secret: str, _: bytes) -> None:
        """Raise `Refused` for a signature that is out of date or was made with another secret."""
        date = request.value("Expires") if self.presigned else request.headers.get("date", "")
        if self.presigned and not (date.isdecimal() and int(date) >= time.time()):
            raise Refused("RequestExpired", "Request has expired")
        headers = HTTPHeaders()
        for name, value in request.headers.items():
            headers[name] = value
        address = urlsplit(f"http://host{request.raw_path}{'?' if request.raw_query else ''}{request.raw_query}")
        signer = _Signer(SignerCredentials(self.access_key_id, secret, request.token or None), date)
        expected = signer.get_signature(request.method, address, headers)
        if not hmac.compare_digest(expected.encode(), self.signature.encode()):
            raise Refused("SignatureDoesNotMatch", sigv4.SIGNATURE_MISMATCH)


def _signature(request: SignedRequest) -> _Version4 | _Version2:
    """The request's one signature.

    Raises:
        Refused: it has none, more than one, or an incomplete one.
    """
    authorization = request.headers.get("authorization", "")
    signed, presigned = authorization.startswith(("AWS4-", _VERSION_2)), "X-Amz-Credential" in request.query
    old = "AWSAccessKeyId" in request.query and not request.value("SignatureVersion")
    if signed + presigned + old > 1:
        raise Refused("IncompleteSignature", "Only one auth mechanism allowed.")
    if presigned or authorization.startswith("AWS4-"):
        parse, source = (
            (sigv4.parse_query_signature, request.query)
            if presigned
            else (sigv4.parse_header_signature, request.headers)
        )
        parts: Any = parse(source)
        if isinstance(parts, tuple):
            raise Refused(*parts)
        return _Version4(parts, presigned)
    if old:
        return _Version2(request.value("AWSAccessKeyId"), request.value("Signature"), presigned=True)
    if signed:
        key, _, given = authorization.removeprefix(_VERSION_2).partition(":")
        return _Version2(key, given, presigned=False)
    raise Refused("MissingAuthenticationToken", "Request is missing Authentication Token")


async def _refuse(send: Send, service: str, request: SignedRequest, refused: Refused) -> None:
    number = str(uuid.uuid4())
    status, headers, body = access_denied_response(
        service, "", "", number, error_code=refused.code, message=str(refused), headers=request.headers
    )
    fix_error_content_type(service, status, headers)
    headers |= {"x-amzn-requestid": number, "content-length": str(len(body)), "connection": "close"}
    fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})
