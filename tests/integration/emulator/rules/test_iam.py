"""What IAM refuses."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.emulator.conftest import Aws, Stacks
from tests.integration.emulator.rules.refusals import assert_call_refused, assert_stack_refused, resource
from tests.integration.emulator.rules.test_names import TRUST


def policy(buckets: int) -> dict[str, Any]:
    """A policy of 33 characters for each bucket."""
    arns = [f"arn:aws:s3:::{'b' * 10}-{number:04}/*" for number in range(buckets)]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": arns}]}


def test_a_managed_policy_has_6144_characters(aws: Aws, stacks: Stacks) -> None:
    rule, words, iam = "managed-policy-size", "Cannot exceed quota for PolicySize: 6144", aws("iam")
    large = policy(250)
    assert_stack_refused(stacks, rule, words, Policy=resource("IAM::ManagedPolicy", PolicyDocument=large))
    assert_call_refused(rule, words, iam.create_policy, PolicyName="large", PolicyDocument=json.dumps(large))
    # White space does not count.
    spaced = json.dumps(policy(100), indent=60)
    assert len(spaced) > 6144
    arn = iam.create_policy(PolicyName="spaced", PolicyDocument=spaced)["Policy"]["Arn"]
    assert_call_refused(rule, words, iam.create_policy_version, PolicyArn=arn, PolicyDocument=json.dumps(large))


def test_the_inline_policies_of_a_role_have_10240_characters_together(aws: Aws, stacks: Stacks) -> None:
    rule, iam = "inline-policy-size", aws("iam")
    half = policy(180)
    role = resource("IAM::Role", AssumeRolePolicyDocument=TRUST)
    first, second = (
        resource("IAM::Policy", PolicyName=name, PolicyDocument=half, Roles=[{"Ref": "Role"}]) for name in ("a", "b")
    )
    assert stacks.create("half", {"Role": role, "First": first}) == "CREATE_COMPLETE"
    stacks.delete("half")
    words = "Maximum policy size of 10240 bytes exceeded for role"
    assert_stack_refused(stacks, rule, words, Role=role, First=first, Second=second)
    inside = [{"PolicyName": name, "PolicyDocument": half} for name in ("a", "b")]
    inline = resource("IAM::Role", AssumeRolePolicyDocument=TRUST, Policies=inside)
    assert_stack_refused(stacks, rule, words, Role=inline)
    iam.create_role(RoleName="inline", AssumeRolePolicyDocument=json.dumps(TRUST))
    for _ in range(2):  # the same policy again replaces it
        iam.put_role_policy(RoleName="inline", PolicyName="a", PolicyDocument=json.dumps(half))
    named = {"RoleName": "inline", "PolicyName": "b", "PolicyDocument": json.dumps(half)}
    assert_call_refused(rule, f"{words} inline", iam.put_role_policy, **named)
