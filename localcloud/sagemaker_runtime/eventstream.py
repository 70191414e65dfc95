"""Encoding of `application/vnd.amazon.eventstream`, the framing of InvokeEndpointWithResponseStream.

A message is: total length and headers length (two big-endian uint32), CRC32 of those 8 bytes, headers, payload, CRC32
of everything before it. A header is: name length (uint8), name, value type (7 = string), value length (uint16), value.
Source: "Event stream encoding" in the AWS documentation of Amazon Transcribe and of S3 Select, which share the format.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping

CONTENT_TYPE = "application/vnd.amazon.eventstream"
MAX_PAYLOAD_BYTES = 1024 * 1024  # well below the 16 MiB that clients accept for one message

_STRING_VALUE = 7
_PRELUDE = struct.Struct("!II")
_UINT32 = struct.Struct("!I")
_UINT16 = struct.Struct("!H")


def encode_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One framed message with string headers.

    Raises:
        ValueError: a header name above 255 bytes or a header value above 65,535 bytes, which the format cannot hold.
    """
    encoded = b"".join(_encode_header(name, value) for name, value in headers.items())
    overhead = _PRELUDE.size + 2 * _UINT32.size
    prelude = _PRELUDE.pack(overhead + len(encoded) + len(payload), len(encoded))
    message = prelude + _UINT32.pack(zlib.crc32(prelude)) + encoded + payload
    return message + _UINT32.pack(zlib.crc32(message))


def payload_parts(data: bytes) -> Iterator[bytes]:
    """PayloadPart events that carry `data` in order, each of at most `MAX_PAYLOAD_BYTES`; none for empty data."""
    headers = {
        ":message-type": "event",
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
    }
    for start in range(0, len(data), MAX_PAYLOAD_BYTES):
        yield encode_message(headers, data[start : start + MAX_PAYLOAD_BYTES])


def exception(exception_type: str, fields: Mapping[str, str]) -> bytes:
    """The exception message that ends a stream, e.g. `ModelStreamError` with `Message` and `ErrorCode`."""
    headers = {
        ":message-type": "exception",
        ":exception-type": exception_type,
        ":content-type": "application/json",
    }
    return encode_message(headers, json.dumps(dict(fields)).encode())


def _encode_header(name: str, value: str) -> bytes:
    raw_name, raw_value = name.encode(), value.encode()
    if not 0 < len(raw_name) <= 0xFF or len(raw_value) > 0xFFFF:
        raise ValueError(f"header {name[:40]!r} does not fit the event stream format")
    return bytes((len(raw_name),)) + raw_name + bytes((_STRING_VALUE,)) + _UINT16.pack(len(raw_value)) + raw_value
