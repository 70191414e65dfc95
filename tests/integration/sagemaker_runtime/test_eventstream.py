"""The framing, read back by botocore's own decoder, which checks lengths and both checksums."""

from __future__ import annotations

import json

import aiohttp
import pytest
from aiohttp import ClientError
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer

from localcloud.sagemaker_runtime import eventstream
from localcloud.sagemaker_runtime.containers import stream_failure


def decode(data: bytes) -> list[tuple[dict[str, str], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


def test_payload_part_round_trip() -> None:
    data = "wörld".encode() * 300_000
    messages = decode(b"".join(eventstream.payload_parts(data)))
    assert len(messages) == 2
    assert b"".join(payload for _, payload in messages) == data
    assert messages[0][0] == {
        ":message-type": "event",
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
    }


def test_no_data_makes_no_message() -> None:
    assert list(eventstream.payload_parts(b"")) == []


def test_a_flipped_bit_is_noticed() -> None:
    damaged = bytearray(b"".join(eventstream.payload_parts(b"payload")))
    damaged[-6] ^= 1
    with pytest.raises(ChecksumMismatch):
        decode(bytes(damaged))


def test_header_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        eventstream.encode_message({"name": "x" * 70_000}, b"")


@pytest.mark.parametrize(
    ("failure", "exception_type", "code"),
    [
        (aiohttp.ServerDisconnectedError(), "ModelStreamError", "StreamBroken"),
        (aiohttp.ClientPayloadError("incomplete chunked read"), "ModelStreamError", "StreamBroken"),
        (aiohttp.InvalidURL("http://"), "InternalStreamFailure", None),
    ],
)
def test_a_broken_stream_ends_with_the_exception_for_its_cause(
    failure: ClientError, exception_type: str, code: str | None
) -> None:
    ((headers, payload),) = decode(stream_failure(failure))
    assert headers[":message-type"] == "exception"
    assert headers[":exception-type"] == exception_type
    assert json.loads(payload).get("ErrorCode") == code
