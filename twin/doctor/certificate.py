"""Checks of the API's certificate and domain."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from infra.settings.edge_limits import CERTIFICATE_REGION
from twin.doctor.check import Check, Need
from twin.doctor.context import Context
from twin.doctor.finding import Finding, failed, ok, skipped, warning

CERTIFICATE, DOMAIN = "Certificate", "Domain"
SOON = timedelta(days=30)


def _certificate(context: Context) -> Iterator[Finding]:
    rag = context.known.rag
    arn = rag.certificate_arn
    if arn is None:
        yield _without_one(rag.edge)
        return
    # The settings accept only certificates of this region for CloudFront.
    region = CERTIFICATE_REGION if rag.edge == "cloudfront" else context.stage.region
    why = "nothing could speak HTTPS with it"
    renew = f"https://{region}.console.aws.amazon.com/acm/home?region={region}#/certificates/list"
    if arn.split(":")[3] != region:
        yield failed(CERTIFICATE, f"{arn} is not in {region}", why, f"request one in {region}: {renew}")
        return
    if context.identity is None:
        yield skipped(CERTIFICATE, "skipped: no credentials")
        return
    try:
        acm = replace(context.stage, region=region).client("acm")
        found = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        yield failed(CERTIFICATE, f"no {arn}", why, f"correct `certificate_arn` in [rag]: {renew}")
        return
    yield _judge(found, rag.domain_name or "", why, renew)


def _without_one(edge: str) -> Finding:
    if edge == "cloudfront":
        return ok(CERTIFICATE, "CloudFront's own: it also lets callers in who speak TLS older than 1.2")
    why = "the API is plain HTTP inside the VPC: `twin ask` from this machine cannot reach it"
    return warning(CERTIFICATE, "none", why, "set `edge` in [rag] to cloudfront")


def _judge(found: dict[str, Any], domain: str, why: str, page: str) -> Finding:
    names = [found["DomainName"], *found.get("SubjectAlternativeNames", ())]
    if found["Status"] != "ISSUED":
        fix = f"create the DNS record that ACM asks for: {page}"
        return failed(CERTIFICATE, f"status {found['Status']}", why, fix)
    if not any(covers(name, domain) for name in names):
        why = "every client would refuse the connection: the certificate is for other names"
        return failed(CERTIFICATE, f"for {', '.join(dict.fromkeys(names))}, not {domain}", why, page)
    end = found.get("NotAfter")
    if end is not None and end < datetime.now(UTC) + SOON:
        why = "clients refuse an expired certificate"
        return warning(CERTIFICATE, f"ends on {end:%Y-%m-%d}", why, f"see why ACM did not renew it: {page}")
    return ok(CERTIFICATE, f"issued for {domain}")


def covers(name: str, domain: str) -> bool:
    """Whether a certificate's name is for a domain; a star matches one label (RFC 6125, section 6.4.3)."""
    if name.startswith("*."):
        return domain.partition(".")[2] == name[2:]
    return name == domain


def _domain(context: Context) -> Iterator[Finding]:
    domain = context.known.rag.domain_name
    if domain is None:
        yield skipped(DOMAIN, "not needed: no domain is set")
        return
    try:
        socket.getaddrinfo(domain, 443)
    except OSError:
        why = "the service runs, but the domain does not lead to it, and `twin deploy` waits in vain"
        fix = "after the first deployment, point a CNAME or alias record at the stack's output ApiHost"
        yield warning(DOMAIN, f"{domain} has no address yet", why, fix)
        return
    yield ok(DOMAIN, f"{domain} has an address")


CHECKS = (
    Check(CERTIFICATE, _certificate, needs=(Need.SETTINGS,)),
    Check(DOMAIN, _domain, needs=(Need.SETTINGS,)),
)
