"""Secrets Manager and KMS."""

from __future__ import annotations

from collections.abc import Iterable

from twin.cost.assembly import Resource
from twin.cost.charge import Charge, Context, Finding, Free, Unknown, always, hourly


def secret(resource: Resource, context: Context) -> Iterable[Finding]:
    """A secret by the month and by its reads."""
    yield Charge("Secret", "secret.month", always(1))
    yield Charge("Reads", "secret.call", hourly(context.assumptions.secret_calls_per_hour))


def key(resource: Resource, context: Context) -> Iterable[Finding]:
    """A customer-managed key; each of its first two yearly rotations adds the same price again."""
    yield Charge("Key", "key.month", always(1))


def parameter(resource: Resource, context: Context) -> Iterable[Finding]:
    """Standard parameters are free, others are not."""
    tier = resource.properties.get("Tier", "Standard")
    yield Free("a standard parameter") if tier == "Standard" else Unknown(f"a parameter of tier {tier} is not priced")
