"""The 14 resource types that MiniStack lacks, deployed by CloudFormation and read by boto3."""

from __future__ import annotations

import re

import pytest
from ministack.services.cloudformation import provisioners

from localcloud.emulator.loopback import Loopback
from localcloud.emulator.plugin import resource_types
from tests.aws import CREDENTIALS
from tests.integration.emulator.cases import CASES, RENAMED_BUDGET, VPC, Case, budget, read_budget, shown_budget
from tests.integration.emulator.conftest import Aws, Resources, Stacks

# Some resource ids are names that only one stack at a time can hold.
pytestmark = pytest.mark.usefixtures("clean")
EVERY = [*CASES, RENAMED_BUDGET]
each_type = pytest.mark.parametrize("case", EVERY, ids=str)
each_that_is_replaced = pytest.mark.parametrize("case", [case for case in EVERY if case.replaced], ids=str)
STACK = "case"
CASES_BY_TYPE = {case.type: case for case in CASES}
MODEL = CASES_BY_TYPE["AWS::SageMaker::Model"]
CONFIG = CASES_BY_TYPE["AWS::SageMaker::EndpointConfig"]


@pytest.fixture
def clean(stacks: Stacks) -> object:
    yield None
    stacks.delete(STACK)


def then_failing(resources: Resources) -> Resources:
    """`resources`, and one after them that cannot be created."""
    failing = {
        "Type": "AWS::SageMaker::Endpoint",
        "DependsOn": "Subject",
        "Properties": {"EndpointConfigName": "nowhere"},
    }
    return {**resources, "Failing": failing}


def test_these_are_the_types_that_are_added_and_none_of_them_is_ministacks_own() -> None:
    added = set(resource_types(Loopback(0, CREDENTIALS)))
    assert added == {case.type for case in CASES}
    # For a type that a newer MiniStack has, its own implementation is used, and ours can go.
    assert added.isdisjoint(provisioners._RESOURCE_HANDLERS)


@each_type
def test_create_and_delete(case: Case, stacks: Stacks, aws: Aws) -> None:
    outputs = {"Ref": {"Ref": "Subject"}, **{name: {"Fn::GetAtt": ["Subject", name]} for name in case.attributes}}
    assert stacks.create(STACK, case.resources(case.before), outputs) == "CREATE_COMPLETE", stacks.failures(STACK)
    for name, value in stacks.outputs(STACK).items():
        assert re.fullmatch({"Ref": case.ref, **case.attributes}[name], value), name
    subject = stacks.physical_id(STACK, "Subject")
    assert case.read(aws, subject) == case.before.shown
    stacks.delete(STACK)
    assert case.read(aws, subject) is None


@each_type
def test_update_in_place(case: Case, stacks: Stacks, aws: Aws) -> None:
    assert stacks.create(STACK, case.resources(case.before)) == "CREATE_COMPLETE"
    subject = stacks.physical_id(STACK, "Subject")
    assert stacks.update(STACK, case.resources(case.changed)) == "UPDATE_COMPLETE", stacks.failures(STACK)
    assert stacks.physical_id(STACK, "Subject") == subject
    assert case.read(aws, subject) == case.changed.shown


@each_that_is_replaced
def test_replace(case: Case, stacks: Stacks, aws: Aws) -> None:
    assert case.replaced is not None
    assert stacks.create(STACK, case.resources(case.before)) == "CREATE_COMPLETE"
    old = stacks.physical_id(STACK, "Subject")
    assert stacks.update(STACK, case.resources(case.replaced)) == "UPDATE_COMPLETE", stacks.failures(STACK)
    new = stacks.physical_id(STACK, "Subject")
    assert new != old
    assert case.read(aws, new) == case.replaced.shown
    assert case.read(aws, old) is None


@each_type
def test_a_failed_creation_leaves_nothing(case: Case, stacks: Stacks, aws: Aws) -> None:
    assert stacks.create(STACK, then_failing(case.resources(case.before))) == "ROLLBACK_COMPLETE"
    (subject,) = stacks.physical_ids(STACK, "Subject")
    assert case.read(aws, subject) is None


CHANGES = [(case, change) for case in EVERY for change in ("changed", "replaced") if getattr(case, change)]


@pytest.mark.parametrize(("case", "change"), CHANGES, ids=str)
def test_a_failed_update_leaves_the_previous_state(case: Case, change: str, stacks: Stacks, aws: Aws) -> None:
    assert stacks.create(STACK, case.resources(case.before)) == "CREATE_COMPLETE"
    old = stacks.physical_id(STACK, "Subject")
    wanted = then_failing(case.resources(getattr(case, change)))
    assert stacks.update(STACK, wanted) == "UPDATE_ROLLBACK_COMPLETE", stacks.failures(STACK)
    assert stacks.physical_id(STACK, "Subject") == old
    assert case.read(aws, old) == case.before.shown
    others = stacks.physical_ids(STACK, "Subject") - {old}
    assert len(others) == (change == "replaced")
    assert [case.read(aws, other) for other in others] == [None] * len(others)


@pytest.mark.parametrize(("case", "name"), [(MODEL, "ModelName"), (CONFIG, "EndpointConfigName")], ids=str)
def test_what_keeps_its_own_name_is_not_replaced(case: Case, name: str, stacks: Stacks, aws: Aws) -> None:
    assert case.replaced is not None
    named = {name: "named", **case.before.properties}
    resources = {"Subject": {"Type": case.type, "Properties": named}}
    assert stacks.create(STACK, resources) == "CREATE_COMPLETE"
    resources = {"Subject": {"Type": case.type, "Properties": {**named, **case.replaced.properties}}}
    assert stacks.update(STACK, resources) == "UPDATE_ROLLBACK_COMPLETE"
    assert any("custom-named resource requires replacing" in reason for reason in stacks.failures(STACK))
    assert case.read(aws, stacks.physical_id(STACK, "Subject")) == case.before.shown


def test_deleting_what_does_not_exist_succeeds(stacks: Stacks, aws: Aws) -> None:
    case = CASES_BY_TYPE["AWS::ApplicationAutoScaling::ScalingPolicy"]
    assert stacks.create(STACK, case.resources(case.before)) == "CREATE_COMPLETE"
    policy, target = stacks.physical_id(STACK, "Subject"), stacks.physical_id(STACK, "Target")
    resource, dimension, namespace = target.split("|")
    scaling = aws("application-autoscaling")
    scaling.deregister_scalable_target(ServiceNamespace=namespace, ResourceId=resource, ScalableDimension=dimension)
    # A target's policies go with it.
    assert case.read(aws, policy) is None
    stacks.delete(STACK)


def test_a_rule_names_another_group_or_a_prefix_list(stacks: Stacks, aws: Aws) -> None:
    ports = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "GroupId": {"Ref": "Group"}}
    listed = aws("ec2").describe_managed_prefix_lists()["PrefixLists"]
    prefixes = listed[0]["PrefixListId"] if listed else "pl-0123456789abcdef0"
    group = {"VpcId": {"Ref": "Vpc"}, "GroupDescription": "other"}
    resources = {
        **VPC,
        "Other": {"Type": "AWS::EC2::SecurityGroup", "Properties": group},
        "FromGroup": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {**ports, "SourceSecurityGroupId": {"Ref": "Other"}},
        },
        "ToGroup": {
            "Type": "AWS::EC2::SecurityGroupEgress",
            "Properties": {**ports, "DestinationSecurityGroupId": {"Ref": "Other"}},
        },
        "FromList": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {**ports, "SourcePrefixListId": prefixes, "Description": "edge"},
        },
    }
    assert stacks.create(STACK, resources) == "CREATE_COMPLETE", stacks.failures(STACK)
    other = stacks.physical_id(STACK, "Other")
    (found,) = aws("ec2").describe_security_groups(GroupIds=[stacks.physical_id(STACK, "Group")])["SecurityGroups"]
    incoming, outgoing = found["IpPermissions"], found["IpPermissionsEgress"]
    assert [pair["GroupId"] for rule in incoming for pair in rule["UserIdGroupPairs"]] == [other]
    assert [pair["GroupId"] for rule in outgoing for pair in rule["UserIdGroupPairs"]] == [other]
    lists = [listed for rule in incoming for listed in rule["PrefixListIds"]]
    assert lists == [{"PrefixListId": prefixes, "Description": "edge"}]


def test_a_named_budgets_notifications_are_refused_as_on_aws(stacks: Stacks, aws: Aws) -> None:
    def resources(threshold: float) -> Resources:
        return {"Subject": {"Type": "AWS::Budgets::Budget", "Properties": budget(10, threshold, BudgetName="named")}}

    assert stacks.create(STACK, resources(80)) == "CREATE_COMPLETE"
    assert stacks.update(STACK, resources(90)) == "UPDATE_ROLLBACK_COMPLETE"
    assert any("the budget already exists" in reason for reason in stacks.failures(STACK))
    assert read_budget(aws, "named") == shown_budget(10, 80)


def test_a_change_set_says_what_replaces(stacks: Stacks, aws: Aws) -> None:
    assert stacks.create(STACK, MODEL.resources(MODEL.before)) == "CREATE_COMPLETE"
    assert stacks.replacement(STACK, MODEL.resources(MODEL.changed)) == "False"
    assert MODEL.replaced is not None
    assert stacks.replacement(STACK, MODEL.resources(MODEL.replaced)) == "True"
