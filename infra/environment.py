"""Environment variables that several deployables share; docs/environment.md lists them all."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

from infra.settings.base import LOOPBACK
from infra.settings.deployment import DeploymentSettings

OPIK_CONSTANTS = {
    # The SDK reports usage and errors to its maker by default.
    "OPIK_SENTRY_ENABLE": "false",
    "OPIK_ANALYTICS_ENABLE": "false",
    # Without a limit, a server that accepts and never answers delays the exit for minutes.
    "OPIK_DEFAULT_FLUSH_TIMEOUT": "5",
    "OPIK_LOG_START_TRACE_SPAN": "false",
}


def opik_environment(settings: DeploymentSettings) -> dict[str, str]:
    """Opik's address, workspace and project, without the key."""
    return {
        "OPIK_URL_OVERRIDE": settings.monitoring.opik_url,
        "OPIK_WORKSPACE": settings.monitoring.workspace,
        "OPIK_PROJECT_NAME": settings.monitoring.project,
    }


def opik_sdk_environment(settings: DeploymentSettings) -> dict[str, str]:
    """The same with the switches of Opik's SDK, for processes that use it."""
    return {**opik_environment(settings), **OPIK_CONSTANTS}


def opik_page_url(settings: DeploymentSettings) -> str:
    """Opik's web page: the configured one, else derived from its API address."""
    return settings.monitoring.page_url or settings.monitoring.opik_url.split("/api")[0]


def opik_trace_url(settings: DeploymentSettings) -> str:
    """The page of one trace, with `{trace_id}` in it.

    A trace's page lies below the id of its project, which only Opik knows: its redirect finds it, as the SDK's own
    links do. The local collector shows a trace under its id alone.
    """
    if settings.evaluation.trace_url:
        return settings.evaluation.trace_url
    api = f"{settings.monitoring.opik_url}/"
    if urlsplit(api).hostname in LOOPBACK:
        return f"{opik_page_url(settings)}/traces/{{trace_id}}"
    path = base64.b64encode(api.encode()).decode()
    return f"{api}v1/session/redirect/projects/?trace_id={{trace_id}}&path={path}"


def runbook_url(settings: DeploymentSettings) -> str:
    """The page of the runbook: the configured one, else that of the repository; empty where neither is known."""
    if settings.evaluation.runbook_url:
        return settings.evaluation.runbook_url
    delivery = settings.delivery
    return (
        f"https://github.com/{delivery.repository}/blob/{delivery.branch}/docs/runbook.md"
        if delivery.repository
        else ""
    )
