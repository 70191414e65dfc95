"""What the services refuse of names that exist, or exist no more."""

from __future__ import annotations

import json

import pytest

from tests.integration.emulator.conftest import Aws, Stacks
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
