"""Checks that the model is parked in the future, and tells whether it is now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from twin.doctor.check import Check, Need
from twin.doctor.context import Context
from twin.doctor.finding import Finding, failed, ok, skipped, warning
from twin.target.parking import is_parked, parked

EXPIRY, PARKED = "End of life", "Parked"
LONGEST_DEPLOYMENT = timedelta(hours=1)


def _expiry(context: Context) -> Iterator[Finding]:
    guard = context.known.guard
    if not guard.enabled:
        yield skipped(EXPIRY, "not needed: guard.enabled is false")
        return
    fixed = guard.expires_at
    if fixed is None:
        yield ok(EXPIRY, f"{guard.ttl_hours} h after each deployment{_deletion(context)}")
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


def _deletion(context: Context) -> str:
    guard = context.known.guard
    return "" if context.known.llm.mode == "real-time" else f", deleted after {guard.delete_after_hours} h"


def _parked(context: Context) -> Iterator[Finding]:
    yield ok(PARKED, parked(context.stage) if is_parked(context.stage) else "no")


CHECKS = (Check(EXPIRY, _expiry, needs=(Need.SETTINGS,)), Check(PARKED, _parked))
