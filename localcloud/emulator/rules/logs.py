"""Rules of CloudWatch Logs."""

from __future__ import annotations

from datetime import date

from ministack.services import cloudwatch_logs

from localcloud.emulator.rules.rule import Change, Rule, Values


def _exists(change: Change) -> Values | None:
    name = change.after.get("LogGroupName")
    if change.action != "create" or name not in cloudwatch_logs._log_groups:
        return None
    return {"name": name}


RULES = (
    Rule(
        name="log-group-exists",
        service="CloudWatch Logs",
        refused="a stack creates a log group whose name exists, also when an earlier stack or a service left it",
        code="ResourceAlreadyExistsException",
        message="Resource of type 'AWS::Logs::LogGroup' with identifier '{{\"/properties/LogGroupName\":\"{name}\"}}' "
        "already exists.",
        source="https://github.com/aws/aws-cdk/issues/32689",
        seen=date(2026, 11, 29),
        certainty="reported",
        applies=_exists,
        types=("AWS::Logs::LogGroup",),
    ),
)
