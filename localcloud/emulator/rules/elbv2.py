"""Rules of Elastic Load Balancing."""

from __future__ import annotations

from datetime import date

from localcloud.emulator.rules.rule import Call, Change, Rule, Values

MODEL = "botocore 1.43.106, elasticloadbalancingv2/2015-12-01"
LONGEST_NAME = 32
IDLE = "idle_timeout.timeout_seconds"
LONGEST_IDLE_SECONDS = 4000


def _long_name(request: Call | Change) -> Values | None:
    wanted = request.parameters if isinstance(request, Call) else request.after
    name = str(wanted.get("Name") or "")
    return {"name": name, "most": LONGEST_NAME} if len(name) > LONGEST_NAME else None


def _idle_time(change: Change) -> Values | None:
    for attribute in change.after.get("LoadBalancerAttributes") or ():
        seconds = str(attribute.get("Value"))
        if attribute.get("Key") == IDLE and not (seconds.isdigit() and 1 <= int(seconds) <= LONGEST_IDLE_SECONDS):
            return {"key": IDLE, "most": LONGEST_IDLE_SECONDS}
    return None


RULES = (
    Rule(
        name="target-group-name",
        service="Elastic Load Balancing",
        refused="the name of a target group is longer than 32 characters",
        code="ValidationError",
        message="Target group name '{name}' cannot be longer than '{most}' characters",
        source=f"{MODEL}, CreateTargetGroup",
        seen=date(2026, 11, 29),
        certainty="modelled",
        applies=_long_name,
        calls=("elasticloadbalancing:CreateTargetGroup",),
        types=("AWS::ElasticLoadBalancingV2::TargetGroup",),
    ),
    Rule(
        name="idle-timeout",
        service="Elastic Load Balancing",
        refused="the idle timeout of a load balancer is not 1 to 4,000 seconds",
        code="ValidationError",
        # The range is the model's; its words are not AWS's.
        message="Load balancer attribute '{key}' must be between 1 and {most}",
        source=f"{MODEL}, LoadBalancerAttribute",
        seen=date(2026, 11, 29),
        certainty="modelled",
        applies=_idle_time,
        types=("AWS::ElasticLoadBalancingV2::LoadBalancer",),
    ),
)
