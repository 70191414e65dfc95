"""Targets of load balancers that share an address and differ by their ports, as all local tasks do.

MiniStack 1.5.33 identifies a target by its Id alone: a second port of an address is not registered, and deregistering
one port takes every port of the address away. A rolling deployment had no target until the next registration. On AWS a
target is its Id with its port (the group's when none is given), and deregistering without a port takes all of its ports
away (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetDescription.html and
API_DeregisterTargets.html). The patch can go when MiniStack compares ports as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import alb

Target = dict[str, Any]
DEFAULT_PORT = 80


def install() -> None:
    """Replace MiniStack's three actions on targets. Call it once, before the emulator serves."""
    alb._ACTION_MAP["RegisterTargets"] = _on_group(_register)
    alb._ACTION_MAP["DeregisterTargets"] = _on_group(_deregister)
    describe = alb._ACTION_MAP["DescribeTargetHealth"]
    alb._ACTION_MAP["DescribeTargetHealth"] = _on_group(
        lambda group, given, parameters: _describe(group, given, parameters, describe)
    )


def _on_group(action: Callable[[str, list[Target], Any], Any]) -> Callable[[Any], Any]:
    """The action of a request, refused for a target group that does not exist."""

    def handle(parameters: Any) -> Any:
        """Call the action with the group's ARN and the request's targets."""
        group = alb._p(parameters, "TargetGroupArn")
        if group not in alb._tgs:
            return alb._error("TargetGroupNotFound", f"Target group '{group}' not found.")
        return action(group, alb._parse_targets_param(parameters), parameters)

    return handle


def _register(group: str, given: list[Target], _: Any) -> Any:
    port = alb._tgs[group].get("Port", DEFAULT_PORT)
    kept = {_key(target): target for target in alb._targets.get(group, [])}
    kept |= {_key(target): target for target in ({"Port": port, **each} for each in given)}
    alb._targets[group] = list(kept.values())
    return alb._empty("RegisterTargets")


def _deregister(group: str, given: list[Target], _: Any) -> Any:
    alb._targets[group] = [
        target for target in alb._targets.get(group, []) if not any(_is_named(target, each) for each in given)
    ]
    return alb._empty("DeregisterTargets")


def _describe(group: str, given: list[Target], parameters: Any, describe: Callable[[Any], Any]) -> Any:
    """MiniStack's answer over the targets that the request names; all when it names none."""
    if not given:
        return describe(parameters)
    every = alb._targets.get(group, [])
    alb._targets[group] = [each for each in every if any(_is_named(each, named) for named in given)]
    try:
        return describe(parameters)
    finally:
        alb._targets[group] = every


def _key(target: Target) -> tuple[str, Any]:
    return target["Id"], target.get("Port")


def _is_named(target: Target, named: Target) -> bool:
    return bool(target["Id"] == named["Id"] and named.get("Port") in (None, target.get("Port")))
