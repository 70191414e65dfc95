"""Applies the rules: to calls of the API before MiniStack sees them, and to what CloudFormation does to resources.

`LOCALCLOUD_AWS_RULES=off` in the emulator's environment leaves all of them out, `LOCALCLOUD_AWS_RULES=-name,-other`
single ones.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from ministack.services.cloudformation import provisioners, stacks

from localcloud.emulator.rules.catalogue import RULES
from localcloud.emulator.rules.quotas import endpoint_instances
from localcloud.emulator.rules.rule import ANY_TYPE, Action, Call, Change, Refusal, Rule

VARIABLE = "LOCALCLOUD_AWS_RULES"
OFF = "off"


def rules_in_force() -> list[Rule]:
    """Those that the environment does not leave out.

    Raises:
        ValueError: it names a rule that does not exist or that MiniStack keeps by itself, or sets a quota to no number.
    """
    endpoint_instances()
    wanted = os.environ.get(VARIABLE, "")
    if wanted == OFF:
        return []
    left_out = {name.removeprefix("-") for name in wanted.split(",") if name}
    if unknown := left_out - {rule.name for rule in RULES}:
        raise ValueError(f"{VARIABLE} names rules that do not exist: {', '.join(sorted(unknown))}.")
    if fixed := left_out & {rule.name for rule in RULES if rule.applies is None}:
        raise ValueError(f"{VARIABLE} names rules that MiniStack keeps by itself: {', '.join(sorted(fixed))}.")
    return [rule for rule in RULES if rule.name not in left_out]


class Rules:
    """The rules in force, by what they look at."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_call: dict[str, list[Rule]] = defaultdict(list)
        self._by_type: dict[str, list[Rule]] = defaultdict(list)
        for rule in rules:
            if rule.applies is None:
                continue
            for call in rule.calls:
                self._by_call[call].append(rule)
            for resource_type in rule.types:
                self._by_type[resource_type].append(rule)

    def check(self, request: Call | Change) -> None:
        """Let a call or change pass; an update that changes nothing is none.

        Raises:
            Refusal: a rule refuses it.
        """
        if isinstance(request, Change) and request.action == "update" and request.before == request.after:
            return
        rules = (
            self._by_call.get(f"{request.service}:{request.operation}", ())
            if isinstance(request, Call)
            else (*self._by_type.get(request.type, ()), *self._by_type.get(ANY_TYPE, ()))
        )
        for rule in rules:
            if refusal := rule.refusal(request):
                raise refusal

    def looks_at(self, service: str, operation: str) -> bool:
        """Whether a rule looks at calls of an operation, so that their parameters are needed."""
        return f"{service}:{operation}" in self._by_call


def install(rules: Rules) -> None:
    """Ask the rules before each change of a resource by CloudFormation. Call it once, before the emulator serves.

    A refused resource fails with AWS's words, and its stack rolls back. MiniStack 1.5.33 has no hook before a change,
    so the three functions of its stack engine are wrapped, also where a replacement calls them.
    """

    def before(action: Action, change: Callable[..., Change], function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, asked for after the rules have let the change of its arguments pass."""

        def checked(*given: Any, **named: Any) -> Any:
            """Change the resource as MiniStack does, or raise RuntimeError with AWS's words."""
            try:
                rules.check(change(action, *given, **named))
            except Refusal as refusal:
                raise RuntimeError(f"{refusal} (Error Code: {refusal.rule.code})") from None
            return function(*given, **named)

        return checked

    for name, action, change in (
        ("_provision_resource", "create", _created),
        ("_update_resource", "update", _updated),
        ("_delete_resource", "delete", _deleted),
    ):
        wrapped = before(action, change, getattr(stacks, name))  # type: ignore[arg-type]
        setattr(stacks, name, wrapped)
        setattr(provisioners, name, wrapped)


def _created(action: Action, resource_type: str, logical_id: str, properties: Any, stack: str) -> Change:
    return Change(action, resource_type, stack, logical_id, after=properties)


def _updated(
    action: Action,
    resource_type: str,
    physical_id: str,
    old: Any,
    new: Any,
    stack: str,
    logical_id: str | None = None,
    *_: Any,
    **__: Any,
) -> Change:
    return Change(action, resource_type, stack, logical_id or "", physical_id, old, new)


def _deleted(
    action: Action,
    resource_type: str,
    physical_id: str,
    properties: Any,
    stack: str | None = None,
    logical_id: str | None = None,
) -> Change:
    return Change(action, resource_type, stack or "", logical_id or "", physical_id, before=properties)
