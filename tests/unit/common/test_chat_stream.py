"""Chat streams out of payload parts."""

from __future__ import annotations

import json

import pytest
from aiohttp import ConnectionTimeoutError
from botocore.exceptions import ClientError

from services.common.sagemaker import (
    ChatStreamParser,
    EndpointNotFound,
    EndpointUnavailable,
    EndpointUpdating,
    InvocationTimeout,
    ModelFailed,
    NoCapacity,
    StreamBroken,
    Throttled,
)
from services.common.sagemaker.errors import translate


def chunk(text: str, finish: str | None = None) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}, "finish_reason": finish}]}, ensure_ascii=False)


SSE = f"data: {chunk('Grü')}\n\n: comment\ndata:{chunk('ße ✓')}\n\ndata: {chunk('', 'stop')}\r\n\ndata: [DONE]\n\n"
JSON_LINES = f"{chunk('Grü')}\n{chunk('ße ✓')}\n{chunk('', 'stop')}"


@pytest.mark.parametrize("stream", [SSE, JSON_LINES])
@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_parts_may_split_lines_and_characters_anywhere(stream: str, size: int) -> None:
    parser, data, texts = ChatStreamParser(), stream.encode(), []
    for start in range(0, len(data), size):
        texts += [found.text for found in parser.feed(data[start : start + size])]
    texts += [found.text for found in parser.finish()]
    assert "".join(texts) == "Grüße ✓"


def test_usage_comes_on_a_chunk_without_choices() -> None:
    (found,) = ChatStreamParser().feed(b'data: {"choices": [], "usage": {"total_tokens": 3}}\n')
    assert (found.text, found.usage) == ("", {"total_tokens": 3})


def test_an_unfinished_stream_is_broken() -> None:
    parser = ChatStreamParser()
    parser.feed(f"data: {chunk('half')}\n".encode())
    with pytest.raises(StreamBroken, match="before the answer was complete"):
        parser.finish()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'data: {"error": {"message": "out of memory"}}\n', ModelFailed),
        (b"data: {broken\n", StreamBroken),
        (b"data: [1]\n", StreamBroken),
        (b"x" * 1_100_000, StreamBroken),
    ],
)
def test_what_is_not_a_chat_stream(line: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        ChatStreamParser().feed(line)


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("ValidationError", "Inference Component has no capacity to process this request.", NoCapacity),
        ("ValidationError", "Endpoint x of account 1 not found.", EndpointNotFound),
        ("ValidationError", "Inference component x is not in service.", EndpointUpdating),
        ("ModelNotReadyException", "secret details", EndpointUpdating),
        ("ValidationError", "something else", EndpointUnavailable),
        ("ThrottlingException", "Rate exceeded", Throttled),
        ("ModelError", "secret details", ModelFailed),
        ("AccessDeniedException", "secret details", EndpointUnavailable),
    ],
)
def test_errors_of_aws_become_types_with_a_sentence(code: str, message: str, expected: type[Exception]) -> None:
    raised = ClientError({"Error": {"Code": code, "Message": message}}, "InvokeEndpoint")
    found = translate(raised, "twin", streaming=False)
    assert type(found) is expected
    assert "twin" in str(found) and "secret" not in str(found)


def test_a_lost_connection_depends_on_whether_the_answer_had_begun() -> None:
    assert isinstance(translate(ConnectionResetError(), "twin", streaming=True), StreamBroken)
    assert isinstance(translate(ConnectionResetError(), "twin", streaming=False), EndpointUnavailable)
    assert isinstance(translate(TimeoutError(), "twin", streaming=True), InvocationTimeout)
    assert isinstance(translate(ConnectionTimeoutError(), "twin", streaming=False), EndpointUnavailable)
