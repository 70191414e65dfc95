"""What STS and Application Auto Scaling refuse."""

from __future__ import annotations

import json
from typing import Any

import boto3

from tests.integration.emulator.cases import ACCOUNT
from tests.integration.emulator.conftest import Aws, Emulator, Stacks
from tests.integration.emulator.rules.refusals import assert_call_refused, assert_stack_refused, resource

ARN = f"arn:aws:iam::{ACCOUNT}:role/rules-session"
ANYBODY = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
TARGET: dict[str, Any] = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "inference-component/rules",
    "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
}


def test_a_session_lasts_as_long_as_its_role_says_and_a_chained_one_an_hour(aws: Aws, emulator: Emulator) -> None:
    iam, assume = aws("iam"), aws("sts").assume_role
    trust = json.dumps({"Version": "2012-10-17", "Statement": [ANYBODY]})
    iam.create_role(RoleName="rules-session", AssumeRolePolicyDocument=trust)
    again = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ARN}]}
    iam.put_role_policy(RoleName="rules-session", PolicyName="again", PolicyDocument=json.dumps(again))
    two_hours: dict[str, Any] = {"RoleArn": ARN, "RoleSessionName": "rules", "DurationSeconds": 7200}
    words = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    assert_call_refused("session-duration", words, assume, **two_hours)
    exchange = aws("sts").assume_role_with_web_identity
    assert_call_refused("session-duration", words, exchange, WebIdentityToken="none", **two_hours)
    iam.update_role(RoleName="rules-session", MaxSessionDuration=7200)
    key = assume(**two_hours)["Credentials"]
    session = boto3.client(
        "sts",
        endpoint_url=emulator.url,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key["SessionToken"],
    )
    words = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    assert_call_refused("chained-session-duration", words, session.assume_role, **two_hours)
    assert session.assume_role(**{**two_hours, "DurationSeconds": 3600})["Credentials"]


def test_what_is_no_target_has_no_policy(aws: Aws, stacks: Stacks) -> None:
    rule, scaling = "policy-without-target", aws("application-autoscaling")
    words = (
        "No scalable target registered for service namespace: sagemaker, resource ID: inference-component/rules, "
        "scalable dimension: sagemaker:inference-component:DesiredCopyCount"
    )
    policy = {"PolicyName": "load", "PolicyType": "StepScaling", **TARGET}
    assert_call_refused(rule, words, scaling.put_scaling_policy, **policy)
    action = {"ScheduledActionName": "night", "Schedule": "rate(1 day)", **TARGET}
    assert_call_refused(rule, words, scaling.put_scheduled_action, **action)
    assert_stack_refused(stacks, rule, words, Policy=resource("ApplicationAutoScaling::ScalingPolicy", **policy))


def test_a_new_target_has_bounds_and_a_known_one_keeps_them(aws: Aws) -> None:
    rule, scaling = "target-bounds", aws("application-autoscaling")
    words, register = "MinCapacity and MaxCapacity are required", scaling.register_scalable_target
    assert_call_refused(rule, words, register, MinCapacity=0, **TARGET)
    register(MinCapacity=0, MaxCapacity=2, **TARGET)
    register(MaxCapacity=3, **TARGET)
    (found,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[TARGET["ResourceId"]])[
        "ScalableTargets"
    ]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (0, 3)
    scaling.deregister_scalable_target(**TARGET)
