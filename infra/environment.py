"""Environment variables that several deployables share; the names are those of docs/architecture.md."""

from __future__ import annotations

from infra.settings import DeploymentSettings

OPIK_CONSTANTS = {
    # The SDK reports usage and errors to its maker by default.
    "OPIK_SENTRY_ENABLE": "false",
    "OPIK_ANALYTICS_ENABLE": "false",
    # Without a bound, a server that accepts and never answers holds up the exit for minutes.
    "OPIK_DEFAULT_FLUSH_TIMEOUT": "5",
    "OPIK_LOG_START_TRACE_SPAN": "false",
}


def opik_environment(settings: DeploymentSettings) -> dict[str, str]:
    """Where traces and scores go, but for the key."""
    monitoring = settings.monitoring
    return {
        "OPIK_URL_OVERRIDE": monitoring.opik_url,
        "OPIK_WORKSPACE": monitoring.workspace,
        "OPIK_PROJECT_NAME": monitoring.project,
    }


def opik_sdk_environment(settings: DeploymentSettings) -> dict[str, str]:
    """The same for what uses Opik's SDK, with the SDK's own switches."""
    return {**opik_environment(settings), **OPIK_CONSTANTS}


def opik_page_url(settings: DeploymentSettings) -> str:
    """Opik's page for people: the configured one, else what its API address starts with."""
    return settings.monitoring.page_url or settings.monitoring.opik_url.split("/api")[0]
