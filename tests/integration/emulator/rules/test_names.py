"""What the services refuse of names that exist, or exist no more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.emulator.cases import ACCOUNT, BALANCERS
from tests.integration.emulator.conftest import Aws, Emulator, Stacks
from tests.integration.emulator.rules.refusals import assert_call_refused, assert_stack_refused, resource

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def test_a_repository_that_exists_is_not_adopted(aws: Aws, stacks: Stacks) -> None:
    aws("ecr").create_repository(repositoryName="rules/there")
    repository = resource("ECR::Repository", RepositoryName="rules/there")
    assert_stack_refused(stacks, "repository-exists", "'rules/there' already exists", Images=repository)


def test_a_role_that_exists_is_not_adopted(aws: Aws, stacks: Stacks) -> None:
    aws("iam").create_role(RoleName="rules-there", AssumeRolePolicyDocument=json.dumps(TRUST))
    role = resource("IAM::Role", RoleName="rules-there", AssumeRolePolicyDocument=TRUST)
    assert_stack_refused(stacks, "role-exists", "Role with name rules-there already exists", Role=role)


def test_a_secret_that_exists_is_not_adopted(aws: Aws, stacks: Stacks) -> None:
    aws("secretsmanager").create_secret(Name="rules-there", SecretString="kept")
    secret = resource("SecretsManager::Secret", Name="rules-there", SecretString="other")
    assert_stack_refused(stacks, "secret-exists", "the secret rules-there already exists", Secret=secret)
    assert aws("secretsmanager").get_secret_value(SecretId="rules-there")["SecretString"] == "kept"


def test_the_name_of_a_secret_in_deletion_is_taken(aws: Aws, stacks: Stacks) -> None:
    rule, words, client = "secret-in-deletion", "already scheduled for deletion", aws("secretsmanager")
    client.create_secret(Name="rules-gone", SecretString="x")
    client.delete_secret(SecretId="rules-gone", RecoveryWindowInDays=7)
    secret = resource("SecretsManager::Secret", Name="rules-gone", SecretString="y")
    assert_stack_refused(stacks, rule, words, Secret=secret)
    assert_call_refused(rule, words, client.create_secret, Name="rules-gone", SecretString="y")
    client.delete_secret(SecretId="rules-gone", ForceDeleteWithoutRecovery=True)
    client.create_secret(Name="rules-gone", SecretString="y")


@pytest.mark.parametrize("length", [32, 33])
def test_the_name_of_a_target_group_has_32_characters(aws: Aws, stacks: Stacks, length: int) -> None:
    rule, words = "target-group-name", "cannot be longer than '32' characters"
    vpc = aws("ec2").create_vpc(CidrBlock="10.91.0.0/16")["Vpc"]["VpcId"]
    named = {"Name": "x" * length, "Port": 80, "Protocol": "HTTP", "VpcId": vpc}
    group = resource("ElasticLoadBalancingV2::TargetGroup", **named)
    if length > 32:
        assert_stack_refused(stacks, rule, words, Group=group)
        assert_call_refused(rule, words, aws("elbv2").create_target_group, **named)
    else:
        assert stacks.create("longest-name", {"Group": group}) == "CREATE_COMPLETE"
        stacks.delete("longest-name")
    aws("ec2").delete_vpc(VpcId=vpc)


def test_a_schedule_and_a_group_that_exist_are_not_adopted(aws: Aws, stacks: Stacks) -> None:
    client = aws("scheduler")
    schedule: dict[str, Any] = {
        "ScheduleExpression": "rate(1 hour)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:lost", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any"},
    }
    client.create_schedule_group(Name="rules-there")
    client.create_schedule(Name="rules-there", **schedule)
    client.create_schedule(Name="rules-there", GroupName="rules-there", **schedule)
    rule, words = "schedule-group-exists", "Schedule group rules-there already exists."
    assert_call_refused(rule, words, client.create_schedule_group, Name="rules-there")
    assert_stack_refused(stacks, rule, words, Group=resource("Scheduler::ScheduleGroup", Name="rules-there"))
    rule, words = "schedule-exists", "Schedule rules-there already exists"
    for group in ({}, {"GroupName": "rules-there"}):
        assert_call_refused(rule, words, client.create_schedule, Name="rules-there", **group, **schedule)
        named = resource("Scheduler::Schedule", Name="rules-there", **group, **schedule)
        assert_stack_refused(stacks, rule, words, Schedule=named)


def test_an_account_has_one_identity_provider_per_address(aws: Aws, stacks: Stacks) -> None:
    rule, url = "oidc-provider-exists", "https://rules.example.com"
    words, create = f"Provider with url {url} already exists.", aws("iam").create_open_id_connect_provider
    create(Url=url, ClientIDList=["a"])
    assert_call_refused(rule, words, create, Url=url, ClientIDList=["b"])
    provider = resource("IAM::OIDCProvider", Url=url, ClientIdList=["b"])
    assert_stack_refused(stacks, rule, words, Provider=provider)


def test_names_of_the_edge_are_taken_in_all_regions(aws: Aws, stacks: Stacks, emulator: Emulator) -> None:
    code, config = "function handler(event) { return event.request; }", {"Comment": "", "Runtime": "cloudfront-js-2.0"}
    taken: dict[str, Any] = {"Name": "rules-there", "FunctionConfig": config, "FunctionCode": code}
    aws("cloudfront").create_function(**{**taken, "FunctionCode": code.encode()})
    rule, words = "edge-function-exists", "A function with the same name already exists"
    there = Stacks(emulator.client("cloudformation", "eu-west-1"))
    for found in (stacks, there):
        assert_stack_refused(found, rule, words, Function=resource("CloudFront::Function", AutoPublish=True, **taken))
    create = aws("cloudfront").create_function
    assert_call_refused(rule, words, create, **{**taken, "FunctionCode": code.encode()})
    endpoint = {"Name": "rules-there", "Arn": {"Ref": "Balancer"}, "HTTPPort": 80, "OriginProtocolPolicy": "http-only"}
    origin = resource("CloudFront::VpcOrigin", VpcOriginEndpointConfig=endpoint)
    assert stacks.create("first-origin", {**BALANCERS, "Origin": origin}) == "CREATE_COMPLETE"
    words = "Another vpc origin with the same name already exists within the aws account."
    assert_stack_refused(there, "vpc-origin-exists", words, **{**BALANCERS, "Origin": origin})
    stacks.delete("first-origin")
