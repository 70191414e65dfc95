"""What Lambda refuses."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.emulator.conftest import Aws, Stacks
from tests.integration.emulator.rules.codes import code_of


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
