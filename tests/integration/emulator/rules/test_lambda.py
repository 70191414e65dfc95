"""What Lambda refuses."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.emulator.conftest import Aws, Stacks
from tests.integration.emulator.rules.codes import code_of
from tests.integration.emulator.rules.refusals import assert_call_refused, assert_stack_refused, resource
from tests.integration.emulator.rules.test_names import TRUST


def test_more_than_ten_messages_need_a_window(aws: Aws, stacks: Stacks) -> None:
    rule = "batch-window"
    queue = aws("sqs").create_queue(QueueName="gathered")["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mapping: dict[str, Any] = {"EventSourceArn": arn, "FunctionName": "missing", "BatchSize": 11}
    with pytest.raises(ClientError, match="Maximum batch window in seconds") as refused:
        aws("lambda").create_event_source_mapping(**mapping)
    assert refused.value.response["Error"]["Code"] == code_of(rule)
    resource = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping}
    assert stacks.create("gathering", {"Mapping": resource}) == "ROLLBACK_COMPLETE"
    assert any(code_of(rule) in reason for reason in stacks.failures("gathering"))
    for passes in ({"BatchSize": 10}, {"MaximumBatchingWindowInSeconds": 1}):
        # Without the function this may fail, but not for the window.
        try:
            made = aws("lambda").create_event_source_mapping(**{**mapping, **passes})
        except ClientError as error:
            assert error.response["Error"]["Code"] != code_of(rule)
        else:
            aws("lambda").delete_event_source_mapping(UUID=made["UUID"])
    aws("sqs").delete_queue(QueueUrl=queue)


def function(**properties: Any) -> dict[str, Any]:
    """A function and its role."""
    common = {"Runtime": "python3.12", "Handler": "index.handler", "Role": {"Fn::GetAtt": ["Role", "Arn"]}}
    code = {"ZipFile": "def handler(*_): pass"}
    return {
        "Role": resource("IAM::Role", AssumeRolePolicyDocument=TRUST),
        "Function": resource("Lambda::Function", **{"Code": code, **common, **properties}),
    }


@pytest.mark.parametrize(
    ("rule", "words", "variables"),
    [
        ("function-environment-size", "exceeded the 4KB limit. String measured:", {"A": "x" * 4089}),
        ("function-environment-names", "Reserved keys used in this request: AWS_REGION", {"AWS_REGION": "us-east-1"}),
    ],
)
def test_an_environment_that_lambda_does_not_take(
    aws: Aws, stacks: Stacks, rule: str, words: str, variables: dict[str, str]
) -> None:
    client, environment = aws("lambda"), {"Variables": variables}
    assert_stack_refused(stacks, rule, words, **function(Environment=environment))
    fitting = function(FunctionName="fitting", Environment={"Variables": {"A": "x" * 4088}})
    assert stacks.create("fitting", fitting) == "CREATE_COMPLETE"
    update = client.update_function_configuration
    assert_call_refused(rule, words, update, FunctionName="fitting", Environment=environment)
    role = client.get_function_configuration(FunctionName="fitting")["Role"]
    asked: dict[str, Any] = {
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Role": role,
        "Code": {"ZipFile": b""},
    }
    assert_call_refused(rule, words, client.create_function, FunctionName="new", Environment=environment, **asked)
    stacks.delete("fitting")


def packed(megabytes: int) -> bytes:
    """A package that is so large unzipped."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        package.writestr("python/weights.bin", bytes(megabytes * 1024**2))
        package.writestr("index.py", "def handler(*_): pass")
    return packed.getvalue()


def test_code_and_layers_have_250_mib_together(aws: Aws, stacks: Stacks) -> None:
    rule, words = (
        "function-size",
        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes",
    )
    s3 = aws("s3")
    s3.create_bucket(Bucket="rules-code")
    for name, megabytes in (("layer", 200), ("code", 60), ("small", 40)):
        s3.put_object(Bucket="rules-code", Key=name, Body=packed(megabytes))
    content = {"S3Bucket": "rules-code", "S3Key": "layer"}
    layer = resource("Lambda::LayerVersion", LayerName="rules", Content=content)
    for key, refused in (("code", True), ("small", False)):
        code = {"S3Bucket": "rules-code", "S3Key": key}
        resources = {"Layer": layer, **function(Code=code, Layers=[{"Ref": "Layer"}])}
        if refused:
            assert_stack_refused(stacks, rule, words, **resources)
        else:
            assert stacks.create("small-code", resources) == "CREATE_COMPLETE", stacks.failures("small-code")
            stacks.delete("small-code")


def test_a_queue_is_mapped_to_a_function_once(aws: Aws, stacks: Stacks) -> None:
    rule, client = "mapping-exists", aws("lambda")
    mapping = {"EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]}, "FunctionName": {"Ref": "Function"}}
    first = {"Queue": resource("SQS::Queue"), "Mapping": resource("Lambda::EventSourceMapping", **mapping)}
    assert stacks.create("mapped", {**function(FunctionName="mapped"), **first}) == "CREATE_COMPLETE"
    (found,) = client.list_event_source_mappings(FunctionName="mapped")["EventSourceMappings"]
    source, number = found["EventSourceArn"], found["UUID"]
    words = f'An event source mapping with SQS arn (" {source} ") and function (" mapped ") already exists.'
    again = {"EventSourceArn": source, "FunctionName": "mapped"}
    assert_call_refused(rule, words, client.create_event_source_mapping, **again)
    assert_call_refused(rule, f"with UUID {number}", client.create_event_source_mapping, **again)
    assert_stack_refused(stacks, rule, words, Mapping=resource("Lambda::EventSourceMapping", **again))
    stacks.delete("mapped")
