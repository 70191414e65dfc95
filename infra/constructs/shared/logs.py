"""Log groups with a retention that are deleted with their stack."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


def log_group(scope: Construct, construct_id: str, days: int, name: str | None = None) -> logs.LogGroup:
    """A log group with retention; named by CloudFormation unless the writing service requires `name`."""
    return logs.LogGroup(
        scope, construct_id, log_group_name=name, retention=RETENTION[days], removal_policy=cdk.RemovalPolicy.DESTROY
    )


def writes_to(*groups: logs.LogGroup) -> iam.PolicyStatement:
    """Permission to write to `groups`."""
    return iam.PolicyStatement(
        sid="WriteOwnLogs",
        actions=["logs:CreateLogStream", "logs:PutLogEvents"],
        resources=[group.log_group_arn for group in groups],
    )
