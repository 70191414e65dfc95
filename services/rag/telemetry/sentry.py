"""Reports unexpected errors to Sentry, without any text of requests.

Off unless a DSN is set. The SDK's integrations are off, since they would collect requests; what is logged as an error
is sent. Exception texts may quote a prompt or a key, so they stay in the log; type and stack go.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from services.common.logging import request_id_var, trace_id_var

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

STOP_SECONDS = 3.0
_KEPT_FRAME = ("filename", "function", "module", "lineno", "in_app")
_KEPT_EVENT = ("event_id", "timestamp", "level", "logger", "platform", "release", "environment", "sdk")


class Sentry:
    """The process's connection to Sentry."""

    def __init__(self, dsn: str, *, stage: str, release: str) -> None:
        """Connect; the SDK keeps one connection per process and sends on a thread of its own.

        Args:
            dsn: address and key of the Sentry project.
            stage: becomes the environment.
            release: of the service.
        """
        import sentry_sdk  # takes a tenth of a second, which services without a DSN save
        from sentry_sdk.integrations.logging import LoggingIntegration

        sentry_sdk.init(
            dsn,
            environment=stage,
            release=release,
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[LoggingIntegration(level=None, event_level=logging.ERROR)],
            max_breadcrumbs=0,
            include_local_variables=False,
            include_source_context=False,
            server_name="",
            before_send=scrub,
        )
        self._client = sentry_sdk.get_client()

    def stop(self) -> None:
        """Send pending events for at most three seconds and disconnect; blocks."""
        self._client.close(timeout=STOP_SECONDS)


def scrub(event: Event, _: Hint | None = None) -> Event:
    """Keep the known fields of an event only, so that a new field of the SDK is not a new leak."""
    found: dict[str, Any] = dict(event)
    kept = {name: found[name] for name in _KEPT_EVENT if name in found}
    kept["tags"] = {"request_id": request_id_var.get(), "trace_id": trace_id_var.get()}
    if "logentry" in found:
        # The constant text of the log call, without what was put into it.
        kept["logentry"] = {"message": found["logentry"].get("message", "")}
    if "exception" in found:
        kept["exception"] = {"values": [_exception(value) for value in found["exception"].get("values", [])]}
    return kept  # type: ignore[return-value]  # a TypedDict made of its own fields


def _exception(value: dict[str, Any]) -> dict[str, Any]:
    frames = (value.get("stacktrace") or {}).get("frames", [])
    return {
        "type": value.get("type"),
        "module": value.get("module"),
        "stacktrace": {"frames": [{name: frame[name] for name in _KEPT_FRAME if name in frame} for frame in frames]},
    }
