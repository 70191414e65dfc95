"""Environment of Opik's SDK in this command line, to be set before its import."""

from __future__ import annotations

import os

CONSTANTS = {
    "OPIK_SENTRY_ENABLE": "false",
    "OPIK_ANALYTICS_ENABLE": "false",
    "OPIK_LOG_START_TRACE_SPAN": "false",
    "OPIK_DEFAULT_FLUSH_TIMEOUT": "5",
}


def disable_reporting() -> None:
    """Turn the SDK's telemetry off; variables that the caller has set stay."""
    for name, value in CONSTANTS.items():
        os.environ.setdefault(name, value)
