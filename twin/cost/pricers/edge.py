"""CloudFront and WAF."""

from __future__ import annotations

from collections.abc import Iterable

from twin.cost.assembly import Resource, count
from twin.cost.charge import Charge, Context, Finding, always, per_answer


def distribution(resource: Resource, context: Context) -> Iterable[Finding]:
    """What viewers fetch."""
    yield Charge("Requests", "edge.request", per_answer(1))
    yield Charge("Answers to viewers", "edge.data", per_answer(context.assumptions.answer_kilobytes / 1_000_000))


def function(resource: Resource, context: Context) -> Iterable[Finding]:
    """A function at the edge, called once per request."""
    yield Charge("Calls at the edge", "edge.function", per_answer(1))


def web_acl(resource: Resource, context: Context) -> Iterable[Finding]:
    """The list, its rules and what they look at. Rule groups of vendors and bot control cost extra."""
    yield Charge("Web ACL", "firewall.list", always(1))
    yield Charge("Rules", "firewall.rule", always(count(resource.properties.get("Rules", ()))))
    yield Charge("Requests looked at", "firewall.request", per_answer(1))
