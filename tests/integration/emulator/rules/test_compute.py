"""What ECS and Lambda refuse."""

from __future__ import annotations

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
