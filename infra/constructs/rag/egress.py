"""Ports that the tasks of the RAG service call outside the VPC."""

from __future__ import annotations

from urllib.parse import urlsplit

from infra.settings.base import LOOPBACK
from infra.settings.deployment import DeploymentSettings

HTTPS = 443


def outside_ports(settings: DeploymentSettings) -> list[int]:
    """HTTPS, and the ports of the addresses that the settings name, sorted.

    Any address may be called on them: AWS without endpoints in the VPC, Opik, an external Qdrant, a re-ranker and
    Sentry have addresses that change, and a security group knows no names. Queries to the VPC's own resolver and for
    the task's credentials need no rule, since security groups do not filter them
    (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html).
    """
    addresses = (settings.vectors.url, settings.monitoring.opik_url, settings.retrieval.reranker_url)
    parts = [urlsplit(str(address)) for address in addresses if address]
    # Plain HTTP is accepted to this machine only, so every other address without a port means HTTPS.
    return sorted({HTTPS, *(part.port or HTTPS for part in parts if part.hostname not in LOOPBACK)})
