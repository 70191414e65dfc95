"""Decoding of `application/vnd.amazon.eventstream`, the framing of InvokeEndpointWithResponseStream.

A message is: total length and headers length (two big-endian uint32), CRC32 of those 8 bytes, headers, payload, CRC32
of everything before it. A header is: name length (uint8), name, value type (7 = string), value length (uint16), value.
Source: "Event stream encoding" in the AWS documentation of Amazon Transcribe and of S3 Select, which share the format.

botocore decodes the same from blocking reads only, at ten times the cost per message.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator

from botocore.exceptions import EventStreamError

from services.common.sagemaker.errors import StreamBroken

# The limits of AWS's own SDKs.
MAX_HEADERS_BYTES = 128 * 1024
MAX_PAYLOAD_BYTES = 24 * 1024 * 1024
OPERATION = "InvokeEndpointWithResponseStream"

_PRELUDE = struct.Struct("!III")
_CRC = struct.Struct("!I")
_UINT16 = struct.Struct("!H")
_STRING_VALUE = 7
_OVERHEAD = _PRELUDE.size + _CRC.size


class EventStreamDecoder:
    """Decoder from the bytes of a response, in pieces of any size, to the bytes of its payload parts."""

    def __init__(self) -> None:
        self._rest = b""
        # Every payload part of a stream has the same headers: they are parsed once.
        self._raw_headers = b""
        self._headers: dict[str, str] = {}

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The payloads that `data` completes, in order.

        Raises:
            EventStreamError: the stream holds an exception; what came before it was yielded.
            StreamBroken: the bytes are not an event stream, or were damaged on the way.
        """
        buffer = self._rest + data if self._rest else data
        position, available = 0, len(buffer)
        while available - position >= _OVERHEAD:
            total, headers_length, prelude_crc = _PRELUDE.unpack_from(buffer, position)
            if zlib.crc32(buffer[position : position + 8]) != prelude_crc:
                raise StreamBroken("The model's stream was damaged on the way (checksum of a message's length).")
            if headers_length > MAX_HEADERS_BYTES or not headers_length <= total - _OVERHEAD <= MAX_PAYLOAD_BYTES:
                raise StreamBroken("The model's stream holds a message of an impossible size.")
            end = position + total
            if end > available:
                break
            if zlib.crc32(buffer[position : end - 4]) != _CRC.unpack_from(buffer, end - 4)[0]:
                raise StreamBroken("The model's stream was damaged on the way (checksum of a message).")
            payload_start = position + _PRELUDE.size + headers_length
            payload = buffer[payload_start : end - 4]
            self._read_headers(buffer[position + _PRELUDE.size : payload_start])
            position = end
            if self._headers.get(":message-type") != "event":
                raise _reported(self._headers, payload)
            if self._headers.get(":event-type") == "PayloadPart":
                yield payload
        self._rest = buffer[position:]

    def finish(self) -> None:
        """Call at the end of the response.

        Raises:
            StreamBroken: it ended inside a message.
        """
        if self._rest:
            raise StreamBroken("The model's stream ended in the middle of a message.")

    def _read_headers(self, raw: bytes) -> None:
        if raw == self._raw_headers:
            return
        headers, position = {}, 0
        try:
            while position < len(raw):
                name_end = position + 1 + raw[position]
                name = raw[position + 1 : name_end].decode()
                if raw[name_end] != _STRING_VALUE:
                    raise StreamBroken(f"The model's stream holds a header of an unknown type ({raw[name_end]}).")
                value_start = name_end + 3
                position = value_start + _UINT16.unpack_from(raw, name_end + 1)[0]
                headers[name] = raw[value_start:position].decode()
        except (IndexError, struct.error, UnicodeDecodeError):
            raise StreamBroken("The model's stream holds headers that cannot be read.") from None
        self._raw_headers, self._headers = raw, headers


def _reported(headers: dict[str, str], payload: bytes) -> EventStreamError:
    """The exception in a message, as botocore would raise it."""
    try:
        body = json.loads(payload)
    except ValueError:
        body = {}
    fields = {key: str(value) for key, value in body.items()} if isinstance(body, dict) else {}
    code = headers.get(":exception-type") or headers.get(":error-code", "")
    message = fields.get("Message") or fields.get("message") or headers.get(":error-message", "")
    return EventStreamError({**fields, "Error": {"Code": code, "Message": message}}, OPERATION)
