"""Identifiers."""

from __future__ import annotations

import secrets
import time
import uuid


def uuid7() -> str:
    """A time-ordered UUID version 7 (RFC 9562), the form that Opik demands of trace and span ids."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
