"""The sagemaker-runtime API as boto3 sees it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError, EventStreamError

from localcloud.sagemaker_runtime.routing import ComponentRoute, EndpointRoute, RoutingTable
from tests.aws import KEYS, signed


def body(behave: str, **options: Any) -> bytes:
    return json.dumps({"behave": behave, **options}).encode()


def error_of(call: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return dict(caught.value.response)


def parts(response: dict[str, Any]) -> list[bytes]:
    return [event["PayloadPart"]["Bytes"] for event in response["Body"]]


def test_invoke_endpoint_passes_headers_both_ways(client: Any, endpoint: str, first: Any) -> None:
    response = client.invoke_endpoint(
        EndpointName=endpoint,
        Body=body("echo", question="who?"),
        ContentType="application/json",
        Accept="application/json; q=1",
        CustomAttributes="trace=1",
        TargetVariant="AllTraffic",
    )
    answer = json.loads(response["Body"].read())
    assert answer == {"container": "first", "echo": {"behave": "echo", "question": "who?"}}
    assert response["InvokedProductionVariant"] == "AllTraffic"
    assert response["ContentType"] == "application/json"
    assert response["CustomAttributes"] == "trace=1"
    (seen,) = first.requests
    assert seen["path"] == "/invocations"
    assert seen["headers"]["content-type"] == "application/json"
    assert seen["headers"]["accept"] == "application/json; q=1"
    assert "authorization" not in seen["headers"], "the caller's signature is not for the container"


def test_stream_arrives_piece_by_piece(client: Any, endpoint: str, first: Any) -> None:
    pieces = ["data: Hel\n\n", "data: wörld\n\n", "data: [DONE]\n\n"]
    response = client.invoke_endpoint_with_response_stream(
        EndpointName=endpoint, Body=body("stream", pieces=pieces, pause=0.15), Accept="text/event-stream"
    )
    assert response["ContentType"] == "text/event-stream"
    assert response["InvokedProductionVariant"] == "AllTraffic"
    arrivals, received = [], []
    for event in response["Body"]:
        arrivals.append(time.monotonic())
        received.append(event["PayloadPart"]["Bytes"])
    assert received == [piece.encode() for piece in pieces]
    assert arrivals[-1] - arrivals[0] >= 0.2, "the pieces were held back"
    assert first.requests[0]["headers"]["accept"] == "text/event-stream"


def test_large_stream_is_complete(client: Any, endpoint: str) -> None:
    piece = "x" * 3_000_000
    response = client.invoke_endpoint_with_response_stream(EndpointName=endpoint, Body=body("stream", pieces=[piece]))
    assert b"".join(parts(response)) == piece.encode()


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
def test_unknown_endpoint(client: Any, operation: str) -> None:
    error = error_of(getattr(client, operation), EndpointName="absent", Body=b"{}")
    assert error["Error"]["Code"] == "ValidationError"
    assert error["Error"]["Message"] == "Endpoint absent of account 000000000000 not found."
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_removed_endpoint_is_unknown(client: Any, table: RoutingTable, first: Any) -> None:
    table.set_endpoint(EndpointRoute("gone", "AllTraffic", (first.url,)))
    client.invoke_endpoint(EndpointName="gone", Body=body("echo"))
    table.remove_endpoint("gone")
    table.remove_endpoint("gone")
    assert error_of(client.invoke_endpoint, EndpointName="gone", Body=b"{}")["Error"]["Code"] == "ValidationError"


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
@pytest.mark.parametrize("attributes", ["a" * 1025, "route=/tokenize\tmore"])
def test_custom_attributes_are_short_and_visible(
    client: Any, endpoint: str, first: Any, operation: str, attributes: str
) -> None:
    error = error_of(getattr(client, operation), EndpointName=endpoint, Body=body("echo"), CustomAttributes=attributes)
    assert error["Error"]["Code"] == "ValidationError"
    assert "'customAttributes'" in error["Error"]["Message"]
    assert not first.requests


def test_custom_attributes_reach_the_container_and_come_back(client: Any, endpoint: str, first: Any) -> None:
    attributes = "route=/tokenize," + "a" * 1008
    response = client.invoke_endpoint(EndpointName=endpoint, Body=body("echo"), CustomAttributes=attributes)
    assert first.requests[0]["headers"]["x-amzn-sagemaker-custom-attributes"] == attributes
    assert response["CustomAttributes"] == attributes


def test_unknown_variant(client: Any, endpoint: str) -> None:
    error = error_of(client.invoke_endpoint, EndpointName=endpoint, Body=body("echo"), TargetVariant="canary")
    assert error["Error"]["Code"] == "ValidationError"
    assert "canary" in error["Error"]["Message"]


def test_component_routes_to_its_own_copies(
    client: Any, component_endpoint: Callable[[ComponentRoute], str], first: Any
) -> None:
    name = component_endpoint(ComponentRoute("llama", (first.url,)))
    response = client.invoke_endpoint(EndpointName=name, InferenceComponentName="llama", Body=body("echo"))
    assert json.loads(response["Body"].read())["container"] == "first"
    assert response["InvokedProductionVariant"] == "main"


def test_component_name_is_required_known_and_only_where_it_belongs(
    client: Any, component_endpoint: Callable[[ComponentRoute], str], endpoint: str, first: Any
) -> None:
    name = component_endpoint(ComponentRoute("llama", (first.url,)))
    invoke = client.invoke_endpoint
    missing = error_of(invoke, EndpointName=name, Body=body("echo"))
    unknown = error_of(invoke, EndpointName=name, InferenceComponentName="qwen", Body=body("echo"))
    misplaced = error_of(invoke, EndpointName=endpoint, InferenceComponentName="llama", Body=body("echo"))
    assert [error["Error"]["Code"] for error in (missing, unknown, misplaced)] == ["ValidationError"] * 3
    assert missing["Error"]["Message"].startswith("Inference Component Name header is required")
    assert "qwen" in unknown["Error"]["Message"]
    assert misplaced["Error"]["Message"].startswith("Inference Component Name header is not allowed")
    assert first.requests == []


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
@pytest.mark.parametrize(
    "component", [ComponentRoute("llama", desired_copies=0), ComponentRoute("llama", desired_copies=1, waking=True)]
)
def test_no_copies_answer_no_capacity_and_call_back(
    client: Any,
    table: RoutingTable,
    component_endpoint: Callable[[ComponentRoute], str],
    operation: str,
    component: ComponentRoute,
) -> None:
    reported: list[tuple[str, str]] = []
    called = threading.Event()

    def record(endpoint_name: str, component_name: str) -> None:
        reported.append((endpoint_name, component_name))
        called.set()

    table.on_no_capacity(record)
    name = component_endpoint(component)
    error = error_of(getattr(client, operation), EndpointName=name, InferenceComponentName="llama", Body=body("echo"))
    assert error["Error"]["Code"] == "ValidationError"
    assert error["Error"]["Message"].startswith("Inference Component has no capacity to process this request.")
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert called.wait(30)
    assert reported == [("twin", "llama")]


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
@pytest.mark.parametrize(("status", "side"), [(500, "server"), (413, "client"), (302, "server")])
def test_container_error_is_a_model_error(client: Any, endpoint: str, operation: str, status: int, side: str) -> None:
    error = error_of(
        getattr(client, operation), EndpointName=endpoint, Body=body("fail", status=status, text="out of memory")
    )
    assert error["Error"]["Code"] == "ModelError"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert error["OriginalStatusCode"] == status
    assert error["OriginalMessage"] == "out of memory"
    assert error["LogStreamArn"] == "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/plain"
    assert f'Received {side} error ({status}) from primary with message "out of memory"' in error["Error"]["Message"]


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
def test_container_that_dies_before_it_answers(client: Any, endpoint: str, operation: str) -> None:
    error = error_of(getattr(client, operation), EndpointName=endpoint, Body=body("crash"))
    assert error["Error"]["Code"] == "ModelError"
    assert error["OriginalStatusCode"] == 0


def test_container_crash_in_the_middle_of_a_stream(client: Any, endpoint: str) -> None:
    response = client.invoke_endpoint_with_response_stream(
        EndpointName=endpoint, Body=body("stream_then_crash", piece="data: half\n\n")
    )
    received: list[bytes] = []
    with pytest.raises(EventStreamError) as caught:
        for event in response["Body"]:
            received.append(event["PayloadPart"]["Bytes"])
    assert received == [b"data: half\n\n"]
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    assert "reset or closed" in str(caught.value)


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
def test_container_that_does_not_answer_in_time(strict_client: Any, endpoint: str, first: Any, operation: str) -> None:
    started = time.monotonic()
    error = error_of(getattr(strict_client, operation), EndpointName=endpoint, Body=body("wait_until_lost"))
    assert 0.4 < time.monotonic() - started < 15
    assert error["Error"]["Code"] == "ModelError"
    assert "timed out" in error["OriginalMessage"]
    assert first.lost_caller.wait(30), "the container still works for a caller that has its answer"


def test_stream_that_does_not_end_in_time(strict_client: Any, endpoint: str, first: Any) -> None:
    response = strict_client.invoke_endpoint_with_response_stream(EndpointName=endpoint, Body=body("stream_until_lost"))
    with pytest.raises(EventStreamError) as caught:
        parts(response)
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    assert "timeout" in str(caught.value)
    assert first.lost_caller.wait(30)


def test_more_invocations_than_allowed_are_throttled(strict_client: Any, endpoint: str, first: Any) -> None:
    with ThreadPoolExecutor(2) as pool:
        invoke = strict_client.invoke_endpoint
        running = [pool.submit(invoke, EndpointName=endpoint, Body=body("wait")) for _ in range(2)]
        for _ in running:
            assert first.started.acquire(timeout=30)
        error = error_of(invoke, EndpointName=endpoint, Body=body("echo"))
        first.release.set()
        assert all(call.result()["ResponseMetadata"]["HTTPStatusCode"] == 200 for call in running)
    assert error["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
    assert invoke(EndpointName=endpoint, Body=body("echo"))["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_body_limit(strict_client: Any, endpoint: str, first: Any) -> None:
    def padded(size: int) -> bytes:
        return body("echo", padding="x" * (size - len(body("echo", padding=""))))

    assert strict_client.invoke_endpoint(EndpointName=endpoint, Body=padded(1000))["ContentType"] == "application/json"
    error = error_of(strict_client.invoke_endpoint, EndpointName=endpoint, Body=padded(1001))
    assert error["Error"]["Code"] == "ValidationError"
    assert "less than or equal to 1000" in error["Error"]["Message"]
    assert [seen["size"] for seen in first.requests] == [1000]


def test_default_body_limit_is_25_megabytes(client: Any, endpoint: str, first: Any) -> None:
    error = error_of(client.invoke_endpoint, EndpointName=endpoint, Body=b"x" * (25 * 1024 * 1024 + 1))
    assert error["Error"]["Code"] == "ValidationError"
    assert first.requests == []


def test_busy_container_is_passed_over(client: Any, table: RoutingTable, first: Any, second: Any) -> None:
    table.set_endpoint(EndpointRoute("pair", "AllTraffic", (first.url, second.url)))
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(client.invoke_endpoint, EndpointName="pair", Body=body("wait"))
        assert first.started.acquire(timeout=30)
        for _ in range(3):
            client.invoke_endpoint(EndpointName="pair", Body=body("echo"))
        assert (len(first.requests), len(second.requests)) == (1, 3)
        first.release.set()
        busy.result()
    client.invoke_endpoint(EndpointName="pair", Body=body("echo"))
    assert len(first.requests) == 2, "a finished invocation still counts"
    table.remove_endpoint("pair")


def test_stopped_container_is_passed_over_until_none_is_left(
    client: Any, table: RoutingTable, first: Any, second: Any
) -> None:
    table.set_endpoint(EndpointRoute("pair", "AllTraffic", ("http://127.0.0.1:9", second.url)))
    response = client.invoke_endpoint(EndpointName="pair", Body=body("echo"))
    assert json.loads(response["Body"].read())["container"] == "second"
    for backends in (("http://127.0.0.1:9",), ()):
        table.set_endpoint(EndpointRoute("pair", "AllTraffic", backends))
        error = error_of(client.invoke_endpoint, EndpointName="pair", Body=body("echo"))
        assert error["Error"]["Code"] == "ServiceUnavailable"
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 503
    table.remove_endpoint("pair")


def test_caller_that_leaves_a_stream_frees_the_container(client: Any, endpoint: str, first: Any) -> None:
    response = client.invoke_endpoint_with_response_stream(EndpointName=endpoint, Body=body("stream_until_lost"))
    assert next(iter(response["Body"]))["PayloadPart"]["Bytes"].startswith(b"data: more")
    response["Body"].close()
    assert first.lost_caller.wait(30)


@pytest.mark.parametrize("operation", ["invocations", "invocations-response-stream"])
def test_caller_that_leaves_while_it_waits_frees_the_container(
    runtime_url: str, endpoint: str, first: Any, operation: str
) -> None:
    path, content = f"/endpoints/{endpoint}/{operation}", body("wait_until_lost")
    headers = signed("sagemaker", "POST", runtime_url + path, content)
    connection = http.client.HTTPConnection(runtime_url.removeprefix("http://"), timeout=30)
    connection.request("POST", path, body=content, headers=headers)
    assert first.started.acquire(timeout=30)
    connection.close()
    assert first.lost_caller.wait(30)


def test_an_unknown_key_a_wrong_secret_and_no_signature_are_refused(
    runtime_url: str, endpoint: str, first: Any
) -> None:
    for keys, code in (
        ({**KEYS, "aws_access_key_id": "test"}, "UnrecognizedClientException"),
        ({**KEYS, "aws_session_token": "any"}, "UnrecognizedClientException"),
        ({**KEYS, "aws_secret_access_key": "test"}, "InvalidSignatureException"),
    ):
        stranger: Any = boto3.client("sagemaker-runtime", endpoint_url=runtime_url, region_name="us-east-1", **keys)
        for operation in (stranger.invoke_endpoint, stranger.invoke_endpoint_with_response_stream):
            error = error_of(operation, EndpointName=endpoint, Body=body("echo"))
            assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, 403)
    answer = httpx.post(f"{runtime_url}/endpoints/{endpoint}/invocations", content=body("echo"), trust_env=False)
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")
    assert httpx.get(f"{runtime_url}/healthz", trust_env=False).status_code == 200
    assert not first.started.acquire(timeout=0.1)
