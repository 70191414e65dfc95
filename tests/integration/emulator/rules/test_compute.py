"""What ECS and Lambda refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.emulator.conftest import Aws, Stacks
from tests.integration.emulator.rules.refusals import assert_call_refused, assert_stack_refused, resource
from tests.integration.emulator.rules.test_names import TRUST


@pytest.mark.parametrize(("cpu", "memory"), [("512", "512"), ("256", "4096"), (".5 vCPU", "8 GB"), ("8192", "17408")])
def test_fargate_has_no_such_size(aws: Aws, stacks: Stacks, cpu: str, memory: str) -> None:
    rule, words = "fargate-size", "No Fargate configuration exists for given values"
    properties = {"RequiresCompatibilities": ["FARGATE"], "NetworkMode": "awsvpc", "Cpu": cpu, "Memory": memory}
    task = resource("ECS::TaskDefinition", ContainerDefinitions=[{"Name": "a", "Image": "b"}], **properties)
    assert_stack_refused(stacks, rule, words, Task=task)
    asked = {"family": "rules", "requiresCompatibilities": ["FARGATE"], "cpu": cpu, "memory": memory}
    register, containers = aws("ecs").register_task_definition, [{"name": "a", "image": "b"}]
    assert_call_refused(rule, words, register, containerDefinitions=containers, **asked)
    register(family="rules", cpu=cpu, memory=memory, containerDefinitions=containers)


@pytest.mark.parametrize(
    ("cpu", "memory"), [("256", "512"), ("0.5 vCPU", "4 GB"), ("1 vCPU", "2048"), ("4096", "30720")]
)
def test_fargate_has_these_sizes(aws: Aws, cpu: str, memory: str) -> None:
    aws("ecs").register_task_definition(
        family="rules",
        requiresCompatibilities=["FARGATE"],
        cpu=cpu,
        memory=memory,
        containerDefinitions=[{"name": "a", "image": "b"}],
    )


def test_a_queue_hides_a_message_as_long_as_its_function_may_work_on_it(aws: Aws, stacks: Stacks) -> None:
    rule, words = "queue-visibility", "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds"
    function = {
        "Role": resource("IAM::Role", AssumeRolePolicyDocument=TRUST),
        "Function": resource(
            "Lambda::Function",
            FunctionName="rules-slow",
            Runtime="python3.12",
            Handler="index.handler",
            Role={"Fn::GetAtt": ["Role", "Arn"]},
            Code={"ZipFile": "def handler(*_): pass"},
            Timeout=60,
        ),
    }
    mapping = resource(
        "Lambda::EventSourceMapping",
        EventSourceArn={"Fn::GetAtt": ["Queue", "Arn"]},
        FunctionName={"Ref": "Function"},
    )
    hidden = {seconds: resource("SQS::Queue", VisibilityTimeout=seconds) for seconds in (30, 60)}
    assert_stack_refused(stacks, rule, words, **function, Queue=hidden[30], Mapping=mapping)
    resources = {**function, "Queue": hidden[60], "Mapping": mapping}
    assert stacks.create("hidden-long-enough", resources) == "CREATE_COMPLETE", stacks.failures("hidden-long-enough")
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="rules-short", Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    create = aws("lambda").create_event_source_mapping
    assert_call_refused(rule, words, create, EventSourceArn=arn, FunctionName="rules-slow")
    stacks.delete("hidden-long-enough")
    sqs.delete_queue(QueueUrl=url)


@pytest.mark.parametrize("seconds", [1, 121])
def test_a_container_on_fargate_has_two_minutes_to_stop(aws: Aws, stacks: Stacks, seconds: int) -> None:
    rule, words, register = "stop-timeout", "between 2 and 120 seconds", aws("ecs").register_task_definition
    asked = {"family": "rules", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
    container: dict[str, Any] = {"name": "a", "image": "b"}
    assert_call_refused(rule, words, register, containerDefinitions=[{**container, "stopTimeout": seconds}], **asked)
    properties = {"RequiresCompatibilities": ["FARGATE"], "Cpu": "256", "Memory": "512"}
    definition = {"Name": "a", "Image": "b", "StopTimeout": seconds}
    task = resource("ECS::TaskDefinition", ContainerDefinitions=[definition], **properties)
    assert_stack_refused(stacks, rule, words, Task=task)
    register(containerDefinitions=[{**container, "stopTimeout": 120}], **asked)


def test_a_cluster_in_use_is_not_deleted(aws: Aws, stacks: Stacks) -> None:
    ecs, cluster = aws("ecs"), {"Cluster": resource("ECS::Cluster", ClusterName="rules-busy")}
    assert stacks.create("busy-cluster", cluster) == "CREATE_COMPLETE"
    ecs.register_task_definition(family="rules-busy", containerDefinitions=[{"name": "a", "image": "b"}])
    ecs.create_service(cluster="rules-busy", serviceName="rules", taskDefinition="rules-busy", desiredCount=0)
    rule, words = "cluster-with-services", "The Cluster cannot be deleted while Services are active."
    assert_call_refused(rule, words, ecs.delete_cluster, cluster="rules-busy")
    ecs.delete_service(cluster="rules-busy", service="rules", force=True)
    (task,) = ecs.run_task(cluster="rules-busy", taskDefinition="rules-busy")["tasks"]
    rule, words = "cluster-with-tasks", "The Cluster cannot be deleted while Tasks are active."
    assert_call_refused(rule, words, ecs.delete_cluster, cluster="rules-busy")
    aws("cloudformation").delete_stack(StackName="busy-cluster")
    assert stacks.settled("busy-cluster") == "DELETE_FAILED"
    assert any(words in reason for reason in stacks.failures("busy-cluster"))
    ecs.stop_task(cluster="rules-busy", task=task["taskArn"])
    stacks.delete("busy-cluster")


@pytest.mark.parametrize(
    ("rule", "words", "properties"),
    [
        ("alarm-window", "must be <= 86400", {"Period": 300, "EvaluationPeriods": 289}),
        ("alarm-window", "must be <= 604800", {"Period": 21_600, "EvaluationPeriods": 29}),
        (
            "alarm-datapoints",
            "must be less than or equal to EvaluationPeriods",
            {"Period": 60, "EvaluationPeriods": 2, "DatapointsToAlarm": 3},
        ),
    ],
)
def test_an_alarm_looks_back_for_a_day(stacks: Stacks, rule: str, words: str, properties: dict[str, int]) -> None:
    metric = {"MetricName": "Errors", "Namespace": "rules", "Statistic": "Sum"}
    compared = {"Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"}
    alarm = resource("CloudWatch::Alarm", **metric, **compared, **properties)
    assert_stack_refused(stacks, rule, words, Alarm=alarm)
