"""Opik's SDK in this command line: what it must be told before it is imported."""

from __future__ import annotations

import os

CONSTANTS = {
    "OPIK_SENTRY_ENABLE": "false",
    "OPIK_ANALYTICS_ENABLE": "false",
    "OPIK_LOG_START_TRACE_SPAN": "false",
    "OPIK_DEFAULT_FLUSH_TIMEOUT": "5",
}


def keep_quiet() -> None:
    """Keep the SDK from reporting to its makers; what the caller's environment says stays."""
    for name, value in CONSTANTS.items():
        os.environ.setdefault(name, value)
