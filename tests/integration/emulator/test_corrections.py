"""Patches of MiniStack where it differs from AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from localcloud.emulator.corrections import camel_case
from tests.integration.emulator.cases import BALANCERS
from tests.integration.emulator.conftest import Emulator, Stacks

Aws = Callable[[str], Any]


def test_a_task_definition_keeps_secrets_and_health_check(stacks: Stacks, aws: Aws) -> None:
    resources = {
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "hidden"}},
        "Task": {
            "Type": "AWS::ECS::TaskDefinition",
            "Properties": {
                "ContainerDefinitions": [
                    {
                        "Name": "api",
                        "Image": "any",
                        "Environment": [{"Name": "A", "Value": "1"}],
                        "Secrets": [{"Name": "KEY", "ValueFrom": {"Ref": "Secret"}}],
                        "HealthCheck": {"Command": ["CMD", "true"]},
                        "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "g"}},
                    }
                ]
            },
        },
    }
    assert stacks.create("task", resources) == "CREATE_COMPLETE"
    arn = stacks.physical_id("task", "Task")
    container = aws("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"][0]
    secret = stacks.physical_id("task", "Secret")
    assert secret.startswith("arn:aws:secretsmanager:us-east-1:000000000000:secret:")
    assert container["secrets"] == [{"name": "KEY", "valueFrom": secret}]
    assert container["healthCheck"]["command"] == ["CMD", "true"]
    assert container["logConfiguration"]["options"] == {"awslogs-group": "g"}
    stacks.delete("task")
    with pytest.raises(ClientError):
        aws("secretsmanager").get_secret_value(SecretId=secret)


def test_a_metric_math_alarm_is_kept(stacks: Stacks, aws: Aws) -> None:
    metric = {"MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"}}
    alarm = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": "math",
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 1,
            "EvaluationPeriods": 1,
            "Metrics": [{"Id": "m", "ReturnData": False, **metric}, {"Id": "e", "Expression": "m * 2"}],
        },
    }
    assert stacks.create("math", {"Alarm": alarm}) == "CREATE_COMPLETE"
    assert [a["AlarmName"] for a in aws("cloudwatch").describe_alarms(AlarmNames=["math"])["MetricAlarms"]] == ["math"]
    stacks.delete("math")


def test_a_missing_image_is_an_error(aws: Aws) -> None:
    ecr = aws("ecr")
    ecr.create_repository(repositoryName="twin")
    with pytest.raises(ClientError, match="ImageNotFoundException"):
        ecr.describe_images(repositoryName="twin", imageIds=[{"imageTag": "nothing"}])


def test_free_form_keys_keep_their_spelling() -> None:
    assert camel_case({"DockerLabels": {"My.Label": "x"}}) == {"dockerLabels": {"My.Label": "x"}}


def test_an_alarm_evaluates_its_own_dimensions(stacks: Stacks, aws: Aws) -> None:
    cloudwatch = aws("cloudwatch")
    alarm = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": "quality",
            "Namespace": "Twin",
            "MetricName": "Groundedness",
            "Dimensions": [{"Name": "Stage", "Value": "a"}],
            "ComparisonOperator": "LessThanThreshold",
            "Threshold": 0.5,
            "Period": 60,
            "EvaluationPeriods": 1,
            "Statistic": "Average",
        },
    }
    assert stacks.create("quality", {"Alarm": alarm}) == "CREATE_COMPLETE"

    def publish(stage: str, value: float) -> str:
        dimensions = [{"Name": "Stage", "Value": stage}]
        data = [{"MetricName": "Groundedness", "Value": value, "Dimensions": dimensions}]
        cloudwatch.put_metric_data(Namespace="Twin", MetricData=data)
        return str(cloudwatch.describe_alarms(AlarmNames=["quality"])["MetricAlarms"][0]["StateValue"])

    assert publish("b", 0.1) != "ALARM"
    assert publish("a", 0.1) == "ALARM"
    assert publish("b", 1.0) == "ALARM"
    stacks.delete("quality")


def test_a_distribution_reaches_a_load_balancer_through_its_vpc_origin(stacks: Stacks, emulator: Emulator) -> None:
    answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418", "MessageBody": "inside"}}
    endpoint = {"Name": "edge", "Arn": {"Ref": "Balancer"}, "HTTPPort": 8080, "OriginProtocolPolicy": "http-only"}
    origin = {
        "Id": "inside",
        "DomainName": {"Fn::GetAtt": ["Balancer", "DNSName"]},
        "VpcOriginConfig": {"VpcOriginId": {"Ref": "Origin"}, "OriginReadTimeout": 60, "OriginKeepaliveTimeout": 5},
    }
    behaviour = {
        "TargetOriginId": "inside",
        "ViewerProtocolPolicy": "https-only",
        "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
    }
    config = {"Enabled": True, "Origins": [origin], "DefaultCacheBehavior": behaviour}
    resources = {
        **BALANCERS,
        "Listener": {
            "Type": "AWS::ElasticLoadBalancingV2::Listener",
            "Properties": {
                "LoadBalancerArn": {"Ref": "Balancer"},
                "Port": 8080,
                "Protocol": "HTTP",
                "DefaultActions": [answer],
            },
        },
        "Origin": {"Type": "AWS::CloudFront::VpcOrigin", "Properties": {"VpcOriginEndpointConfig": endpoint}},
        "Edge": {"Type": "AWS::CloudFront::Distribution", "Properties": {"DistributionConfig": config}},
    }
    name = {"Name": {"Fn::GetAtt": ["Edge", "DomainName"]}}
    assert stacks.create("edge", resources, name) == "CREATE_COMPLETE", stacks.failures("edge")
    host = {"Host": stacks.outputs("edge")["Name"]}
    secure = {**host, "X-Forwarded-Proto": "https"}
    assert httpx.get(emulator.url, headers=host, trust_env=False).status_code == 403
    found = httpx.get(emulator.url, headers=secure, trust_env=False)
    assert (found.status_code, found.text) == (418, "inside")
    stacks.delete("edge")
