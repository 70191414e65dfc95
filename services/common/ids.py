"""Identifiers."""

from __future__ import annotations

import secrets
import time
import uuid
import zlib

MARK_BITS = 32


def uuid7() -> str:
    """A time-ordered UUID version 7 (RFC 9562), the form that Opik demands of trace and span ids."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def marked_uuid7() -> str:
    """A UUID version 7 whose last 32 bits are a checksum of the others; 42 bits are random.

    `is_marked` knows it without a record. That is no protection: anybody can make one.
    """
    value = uuid.UUID(uuid7()).int >> MARK_BITS
    return str(uuid.UUID(int=value << MARK_BITS | _checksum(value)))


def is_marked(identifier: str) -> bool:
    """Whether a UUID is from `marked_uuid7`; one in four billion others is taken for one."""
    value = uuid.UUID(identifier).int
    return value & ((1 << MARK_BITS) - 1) == _checksum(value >> MARK_BITS)


def _checksum(value: int) -> int:
    return zlib.crc32(value.to_bytes(12, "big"))
