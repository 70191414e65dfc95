"""Addresses that stand in a settings file as examples, and lead nowhere."""

from __future__ import annotations

from urllib.parse import urlsplit

from infra.settings.deployment import DeploymentSettings

RESERVED = ("example", "invalid", "test", "example.com", "example.net", "example.org")
"""Names that are reserved for examples and tests: RFC 2606 and RFC 6761."""


def is_placeholder(url: str | None) -> bool:
    """Whether an address names a host that is reserved for examples."""
    host = (urlsplit(url or "").hostname or "").rstrip(".")
    return any(host == name or host.endswith(f".{name}") for name in RESERVED)


def placeholders(settings: DeploymentSettings) -> dict[str, str]:
    """Settings that a deployment needs and that still hold an example's address: name -> address."""
    needed = {
        "vectors.url": settings.vectors.url,
        "monitoring.opik_url": settings.monitoring.opik_url,
        "retrieval.reranker_url": settings.retrieval.reranker_url,
    }
    return {name: url for name, url in needed.items() if url is not None and is_placeholder(url)}
