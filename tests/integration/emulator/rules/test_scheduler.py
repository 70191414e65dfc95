"""What EventBridge Scheduler refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.emulator.cases import ACCOUNT
from tests.integration.emulator.conftest import Aws, Stacks
from tests.integration.emulator.rules.codes import code_of

QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:lost"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/scheduling"


def role(aws: Aws, name: str, service: str) -> str:
    """ARN of a role that trusts a service."""
    allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    return str(aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"])


def schedule(expression: str, role_arn: str = ROLE) -> dict[str, Any]:
    """Properties of a schedule."""
    return {
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": QUEUE, "RoleArn": role_arn},
    }


def test_a_time_that_has_passed_is_no_schedule(aws: Aws, stacks: Stacks) -> None:
    rule, client = "schedule-in-the-past", aws("scheduler")
    client.create_schedule(Name="once", **schedule("at(2099-01-01T00:00:00)"))
    for name, asked in (("past", client.create_schedule), ("once", client.update_schedule)):
        with pytest.raises(ClientError) as refused:
            asked(Name=name, **schedule("at(2020-01-01T00:00:00)"))
        assert refused.value.response["Error"]["Code"] == code_of(rule)
    past = {"Once": {"Type": "AWS::Scheduler::Schedule", "Properties": schedule("at(2020-01-01T00:00:00)")}}
    assert stacks.create("schedule-past", past) == "ROLLBACK_COMPLETE"
    assert any("at(2020-01-01T00:00:00)" in reason for reason in stacks.failures("schedule-past"))


def test_a_role_must_trust_the_scheduler(aws: Aws) -> None:
    rule, client = "schedule-role-trust", aws("scheduler")
    client.create_schedule(Name="trusted", **schedule("rate(1 hour)", role(aws, "trusting", "scheduler.amazonaws.com")))
    with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume the role") as refused:
        client.create_schedule(
            Name="mistrusted", **schedule("rate(1 hour)", role(aws, "other", "lambda.amazonaws.com"))
        )
    assert refused.value.response["Error"]["Code"] == code_of(rule)
