"""Signatures as boto3 makes them, against the middleware over a real socket, in each protocol of AWS's services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from localcloud.account import new_credentials
from localcloud.signatures import Authentication, SignedRequest, unknown_key
from tests.asgi_server import serving
from tests.aws import KEYS, signed

ANSWERED = {"answered": "yes"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "sns": ("list_topics", {}),
    "dynamodb": ("list_tables", {}),
    "secretsmanager": ("create_secret", {"Name": "n", "SecretString": "s"}),
    "sagemaker-runtime": ("invoke_endpoint", {"EndpointName": "e", "Body": b"{}", "CustomAttributes": "a  b"}),
    "s3": (
        "put_object",
        {"Bucket": "b", "Key": "a folder/ä+%.txt", "Body": b"text", "Metadata": {"note": "two  blanks"}},
    ),
    "cloudwatch": ("list_metrics", {"Namespace": "N"}),
    "ec2": ("describe_vpcs", {}),
}
"""One operation per protocol: query, JSON 1.0, JSON 1.1, REST-JSON, REST-XML, Smithy CBOR, EC2."""
UNKNOWN = {
    "sns": "InvalidClientTokenId",
    "dynamodb": "UnrecognizedClientException",
    "secretsmanager": "UnrecognizedClientException",
    "sagemaker-runtime": "UnrecognizedClientException",
    "s3": "InvalidAccessKeyId",
    "cloudwatch": "InvalidClientTokenId",
    "ec2": "AuthFailure",
}
WRONG = {
    **dict.fromkeys(("sns", "s3", "cloudwatch"), "SignatureDoesNotMatch"),
    **dict.fromkeys(("dynamodb", "secretsmanager", "sagemaker-runtime"), "InvalidSignatureException"),
    "ec2": "AuthFailure",
}
MISSING = {
    **dict.fromkeys(("sns", "cloudwatch"), "MissingAuthenticationToken"),
    **dict.fromkeys(("dynamodb", "sagemaker-runtime"), "MissingAuthenticationTokenException"),
    "secretsmanager": "UnrecognizedClientException",
    "s3": "AccessDenied",
    "ec2": "MissingParameter",
}
SESSION = {**KEYS, "aws_access_key_id": "ASIA" + "A" * 16, "aws_session_token": "token+/="}


async def secret_of(access_key_id: str, token: str) -> str:
    """The secret of the tests' key, and of a session with the same secret."""
    for keys in (KEYS, SESSION):
        if access_key_id == keys["aws_access_key_id"] and token == keys.get("aws_session_token", ""):
            return str(keys["aws_secret_access_key"])
    raise unknown_key()


def service_of(request: SignedRequest, _: bytes) -> str:
    """By the name that `call` puts into the user agent; unsigned calls say it nowhere else."""
    named = request.headers.get("user-agent", "").rpartition("calls/")[2]
    return {"cloudwatch": "monitoring"}.get(named, named)


async def answer(request: Request) -> Response:
    """An empty answer in CBOR, for S3 or in JSON, and how much of a body the application has read."""
    length = len(await request.body())
    empty = b"" if request.method == "PUT" else b"{}"
    content = b"\xa0" if "cbor" in request.headers.get("content-type", "") else empty
    return Response(content, headers={**ANSWERED, "read": str(length)})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    methods = ["GET", "PUT", "POST", "DELETE", "HEAD"]
    app = Starlette(routes=[Route("/{path:path}", answer, methods=methods)])
    with serving(Authentication(app, secret_of, service_of)) as served:
        yield served


def call(url: str, service: str, keys: Any, **config: Any) -> str:
    """The error code that boto3 raises, or an empty string when the application was reached."""
    seen: list[Any] = []
    named = {"user_agent_extra": f"calls/{service}", "s3": {"addressing_style": "path"}}
    settings = Config(retries={"total_max_attempts": 1}, **named, **config)
    client = boto3.client(service, endpoint_url=url, region_name="us-east-1", config=settings, **keys)
    client.meta.events.register("before-parse.*", lambda response_dict, **_: seen.append(response_dict["headers"]))
    operation, arguments = CALLS[service]
    try:
        getattr(client, operation)(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except ResponseParserError:
        # The application's answer is none of the service's: that it was reached is all that counts.
        pass
    return "" if seen[-1].get("answered") else "?"


@pytest.mark.parametrize("service", CALLS)
def test_a_known_key_reaches_the_application(url: str, service: str) -> None:
    assert call(url, service, KEYS) == ""
    assert call(url, service, SESSION) == ""


@pytest.mark.parametrize("service", CALLS)
def test_an_unknown_key_is_refused_as_the_service_does(url: str, service: str) -> None:
    other = new_credentials()
    keys = {"aws_access_key_id": other.access_key_id, "aws_secret_access_key": other.secret_access_key}
    assert call(url, service, keys) == UNKNOWN[service]
    assert call(url, service, dict.fromkeys(keys, "test")) == UNKNOWN[service]


@pytest.mark.parametrize("service", CALLS)
def test_a_wrong_secret_is_refused_as_the_service_does(url: str, service: str) -> None:
    assert call(url, service, {**KEYS, "aws_secret_access_key": "test"}) == WRONG[service]


@pytest.mark.parametrize("service", CALLS)
def test_a_session_without_its_token_or_with_another_is_unknown(url: str, service: str) -> None:
    assert call(url, service, {**SESSION, "aws_session_token": "other"}) == UNKNOWN[service]
    assert call(url, service, {**SESSION, "aws_session_token": None}) == UNKNOWN[service]


@pytest.mark.parametrize("service", CALLS)
def test_an_unsigned_call_is_refused_as_the_service_does(url: str, service: str) -> None:
    assert call(url, service, {}, signature_version=UNSIGNED) == MISSING[service]


def presigned(url: str, keys: Any, version: str, seconds: int = 60) -> str:
    config = Config(signature_version=version, s3={"addressing_style": "path"})
    client = boto3.client("s3", endpoint_url=url, region_name="eu-west-1", config=config, **keys)
    where = {"Bucket": "b", "Key": "a folder/ä.txt"}
    return str(client.generate_presigned_url("get_object", Params=where, ExpiresIn=seconds))


@pytest.mark.parametrize(("version", "parameter"), [("s3v4", "X-Amz-Credential"), ("s3", "AWSAccessKeyId")])
def test_a_presigned_address_works_with_its_key_until_it_expires(url: str, version: str, parameter: str) -> None:
    with httpx.Client(trust_env=False) as web:
        good = presigned(url, KEYS, version)
        assert parameter in good
        assert web.get(good).headers["answered"] == "yes"
        assert web.get(presigned(url, SESSION, version)).headers["answered"] == "yes"
        for bad in (
            good.replace("folder", "other"),
            presigned(url, {**KEYS, "aws_secret_access_key": "test"}, version),
            presigned(url, {**KEYS, "aws_access_key_id": "test"}, version),
            presigned(url, KEYS, version, seconds=-1),
        ):
            refused = web.get(bad)
            assert refused.status_code in (400, 403) and "answered" not in refused.headers, bad
            assert KEYS["aws_secret_access_key"] not in refused.text


def test_two_signatures_at_once_are_refused(url: str) -> None:
    # The key that is checked must be the key that the application takes the caller by.
    for version in ("s3v4", "s3"):
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEYS['aws_access_key_id']}/x"}
        answered = httpx.get(presigned(url, KEYS, version), headers=headers, trust_env=False)
        assert answered.status_code in (400, 403) and "answered" not in answered.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "AWS4-HMAC-SHA256"},
        {"Authorization": "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=, Signature="},
        {"Authorization": "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=00"},
        {"Authorization": "AWS :"},
        {"Authorization": "Bearer anything"},
        {"Authorization": ""},
    ],
)
def test_a_broken_signature_is_refused(url: str, headers: dict[str, str]) -> None:
    answered = httpx.post(url, headers=headers, content=b"x" * 100_000, trust_env=False)
    assert answered.status_code in (400, 403) and "answered" not in answered.headers


def test_a_changed_body_or_an_old_date_is_refused(url: str) -> None:
    headers = signed("dynamodb", "POST", f"{url}/", b'{"a": 1}')
    with httpx.Client(trust_env=False) as web:
        assert web.post(url, headers=headers, content=b'{"a": 1}').headers["read"] == "8"
        assert web.post(url, headers=headers, content=b'{"a": 2}').status_code == 403
        late = {**headers, "X-Amz-Date": "20200101T000000Z"}
        assert web.post(url, headers=late, content=b'{"a": 1}').status_code == 403


def test_a_header_of_signature_version_2_is_checked(url: str) -> None:
    assert call(url, "s3", KEYS, signature_version="s3") == ""
    assert call(url, "s3", {**KEYS, "aws_secret_access_key": "test"}, signature_version="s3") == "SignatureDoesNotMatch"
