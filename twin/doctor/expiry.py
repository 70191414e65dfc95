"""Checks that the end of the LLM stack's life lies ahead."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from twin.doctor.check import Check, Need
from twin.doctor.context import Context
from twin.doctor.finding import Finding, failed, ok, skipped, warning

EXPIRY = "End of life"
LONGEST_DEPLOYMENT = timedelta(hours=1)


def _expiry(context: Context) -> Iterator[Finding]:
    guard = context.known.guard
    if not guard.enabled:
        yield skipped(EXPIRY, "not needed: guard.enabled is false")
        return
    fixed = guard.expires_at
    if fixed is None:
        yield ok(EXPIRY, f"{guard.ttl_hours} h after each deployment")
        return
    seen, fix = f"{fixed:%Y-%m-%d %H:%M %Z}", "set `expires_at` in [guard] later, or remove it for `ttl_hours`"
    now = datetime.now(UTC)
    if fixed <= now:
        why = "EventBridge Scheduler takes no time that has passed, and the guard stack rolls back"
        yield failed(EXPIRY, f"{seen} has passed", why, fix)
    elif fixed <= now + LONGEST_DEPLOYMENT:
        why = "it may pass during the deployment, whose guard stack comes last, or just after it"
        yield warning(EXPIRY, f"{seen} is near", why, fix)
    else:
        yield ok(EXPIRY, seen)


CHECKS = (Check(EXPIRY, _expiry, needs=(Need.SETTINGS,)),)
