"""The 13 resource types that MiniStack lacks: create, update, replace, delete and roll back, seen through boto3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.emulator.conftest import Stacks

Aws = Callable[[str], Any]
ROLE = "arn:aws:iam::000000000000:role/any"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/engine:1"


def model(engine: str) -> dict[str, Any]:
    container = {"Image": IMAGE, "Environment": {"LLM_ENGINE": engine}}
    return {"Type": "AWS::SageMaker::Model", "Properties": {"ExecutionRoleArn": ROLE, "PrimaryContainer": container}}


def endpoint_stack(engine: str, copies: int = 1) -> dict[str, Any]:
    variant = {"VariantName": "main", "InstanceType": "ml.g6.xlarge", "InitialInstanceCount": 1}
    return {
        "Model": model(engine),
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ExecutionRoleArn": ROLE, "ProductionVariants": [variant]},
        },
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {
                "EndpointName": "story",
                "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
            },
        },
        "Component": {
            "Type": "AWS::SageMaker::InferenceComponent",
            "DependsOn": "Endpoint",
            "Properties": {
                "InferenceComponentName": "story-model",
                "EndpointName": "story",
                "VariantName": "main",
                "Specification": {"ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}},
                "RuntimeConfig": {"CopyCount": copies},
            },
        },
        "Target": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "DependsOn": "Component",
            "Properties": {
                "ServiceNamespace": "sagemaker",
                "ResourceId": "inference-component/story-model",
                "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
                "MinCapacity": 0,
                "MaxCapacity": 2,
                "Tags": [{"Key": "stage", "Value": "test"}],
            },
        },
        "Policy": {
            "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
            "Properties": {
                "PolicyName": "wake",
                "PolicyType": "StepScaling",
                "ScalingTargetId": {"Ref": "Target"},
                "StepScalingPolicyConfiguration": {
                    "AdjustmentType": "ExactCapacity",
                    "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
                },
            },
        },
    }


def test_a_models_change_replaces_it_and_keeps_the_endpoint(stacks: Stacks, aws: Aws) -> None:
    sagemaker = aws("sagemaker")
    assert stacks.create("story", endpoint_stack("one")) == "CREATE_COMPLETE"
    before = stacks.physical_id("story", "Model")
    assert sagemaker.describe_endpoint(EndpointName="story")["EndpointStatus"] == "InService"

    assert stacks.update("story", endpoint_stack("two")) == "UPDATE_COMPLETE"
    after = stacks.physical_id("story", "Model")
    assert after != before
    component = sagemaker.describe_inference_component(InferenceComponentName="story-model")
    assert component["Specification"]["ModelName"] == after
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.describe_model(ModelName=before)

    scaling = aws("application-autoscaling")
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert [(t["MinCapacity"], t["MaxCapacity"]) for t in targets] == [(0, 2)]
    assert scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"][0]["PolicyName"] == "wake"

    stacks.delete("story")
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_inference_components()["InferenceComponents"] == []
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


def test_a_failed_update_rolls_back_to_what_stood(stacks: Stacks, aws: Aws) -> None:
    assert stacks.create("rolls", endpoint_stack("one")) == "CREATE_COMPLETE"
    broken = endpoint_stack("two")
    broken["Endpoint"]["Properties"]["EndpointConfigName"] = "nowhere"
    assert stacks.update("rolls", broken) == "UPDATE_ROLLBACK_COMPLETE"
    assert any('Could not find endpoint-config "arn:aws:sagemaker' in reason for reason in stacks.failures("rolls"))
    described = aws("sagemaker").describe_model(ModelName=stacks.physical_id("rolls", "Model"))
    assert described["PrimaryContainer"]["Environment"] == {"LLM_ENGINE": "one"}
    stacks.delete("rolls")


def test_a_failed_creation_leaves_nothing(stacks: Stacks, aws: Aws) -> None:
    broken = endpoint_stack("one")
    broken["Component"]["Properties"]["Specification"] = {"ModelName": "nowhere"}
    assert stacks.create("fails", broken) == "ROLLBACK_COMPLETE"
    assert aws("sagemaker").list_endpoints()["Endpoints"] == []
    assert aws("sagemaker").list_models()["Models"] == []
    stacks.delete("fails")


def test_network_types(stacks: Stacks, aws: Aws) -> None:
    def resources(port: int) -> dict[str, Any]:
        return {
            "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}},
            "Subnet": {
                "Type": "AWS::EC2::Subnet",
                "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.9.1.0/24"},
            },
            "Group": {
                "Type": "AWS::EC2::SecurityGroup",
                "Properties": {"VpcId": {"Ref": "Vpc"}, "GroupDescription": "test"},
            },
            "In": {
                "Type": "AWS::EC2::SecurityGroupIngress",
                "Properties": {
                    "GroupId": {"Ref": "Group"},
                    "IpProtocol": "tcp",
                    "FromPort": port,
                    "ToPort": port,
                    "CidrIp": "10.0.0.0/8",
                },
            },
            "Out": {
                "Type": "AWS::EC2::SecurityGroupEgress",
                "Properties": {
                    "GroupId": {"Ref": "Group"},
                    "IpProtocol": "tcp",
                    "FromPort": 443,
                    "ToPort": 443,
                    "CidrIp": "10.1.0.0/16",
                },
            },
            "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}},
            "Nat": {
                "Type": "AWS::EC2::NatGateway",
                "Properties": {
                    "SubnetId": {"Ref": "Subnet"},
                    "AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]},
                },
            },
        }

    ec2 = aws("ec2")
    assert stacks.create("net", resources(80)) == "CREATE_COMPLETE"
    group = stacks.physical_id("net", "Group")
    assert _ports(ec2, group) == {80}
    assert stacks.update("net", resources(81)) == "UPDATE_COMPLETE"
    assert _ports(ec2, group) == {81}
    address = stacks.physical_id("net", "Address")
    stacks.delete("net")
    assert address not in [found["PublicIp"] for found in ec2.describe_addresses()["Addresses"]]
    gateways = ec2.describe_nat_gateways()["NatGateways"]
    assert [gateway for gateway in gateways if gateway["State"] == "available"] == []


def _ports(ec2: Any, group: str) -> set[int]:
    permissions = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    return {permission["FromPort"] for permission in permissions}


def test_governance_types(stacks: Stacks, aws: Aws) -> None:
    def resources(amount: int) -> dict[str, Any]:
        return {
            "Oidc": {
                "Type": "AWS::IAM::OIDCProvider",
                "Properties": {"Url": "https://token.example.com", "ClientIdList": ["sts.amazonaws.com"]},
            },
            "Budget": {
                "Type": "AWS::Budgets::Budget",
                "Properties": {
                    "Budget": {
                        "BudgetName": "twin",
                        "BudgetType": "COST",
                        "TimeUnit": "MONTHLY",
                        "BudgetLimit": {"Amount": amount, "Unit": "USD"},
                    }
                },
            },
            "Ill": {
                "Type": "AWS::CloudWatch::CompositeAlarm",
                "Properties": {"AlarmName": "ill", "AlarmRule": "TRUE", "AlarmDescription": f"at {amount}"},
            },
        }

    assert stacks.create("gov", resources(10)) == "CREATE_COMPLETE"
    assert stacks.update("gov", resources(20)) == "UPDATE_COMPLETE"
    budget = aws("budgets").describe_budget(AccountId="000000000000", BudgetName="twin")["Budget"]
    assert float(budget["BudgetLimit"]["Amount"]) == 20
    found = aws("cloudwatch").describe_alarms(AlarmNames=["ill"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert found[0]["AlarmDescription"] == "at 20"
    stacks.delete("gov")
    assert aws("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"] == []


def test_sagemaker_refuses_as_aws_does(aws: Aws) -> None:
    sagemaker = aws("sagemaker")
    sagemaker.create_model(ModelName="once", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        sagemaker.create_model(ModelName="once", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
    with pytest.raises(ClientError, match="Could not find endpoint-config"):
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="nowhere")
    sagemaker.delete_model(ModelName="once")
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.delete_model(ModelName="once")
