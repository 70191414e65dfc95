"""Delivery to Lambda functions from alarms, topics and queues, and dead letter queues for what keeps failing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.emulator.conftest import Aws, Resources, Stacks, eventually
from tests.integration.emulator.functions import function

STACK = "delivery"
RECEIVES = 2
GOOD = ("good", "fine")
HIDDEN_SECONDS = 300
"""Visibility timeout; the tests make messages visible again earlier."""
ENOUGH_SECONDS = 60
"""It takes one or two seconds on an idle machine."""

RECORD = """
    import json, pathlib, uuid
    def handler(event, context):
        part = pathlib.Path({folder!r}, f"{{uuid.uuid4()}}.part")
        part.write_text(json.dumps(event))
        part.rename(part.with_suffix(".json"))
        {then}
"""
FAIL_THE_BAD = """return {"batchItemFailures": [
            {"itemIdentifier": record["messageId"]} for record in event["Records"] if record["body"] == "bad"
        ]}"""
EXPLODE = 'raise RuntimeError("nothing of this batch")'


def _queue(name: str, function_name: str) -> dict[str, Any]:
    """A queue, its dead letter queue, and the function that is called with its messages."""
    dead = f"{name}Dead"
    redrive = {"deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]}, "maxReceiveCount": RECEIVES}
    mapping = {
        "EventSourceArn": {"Fn::GetAtt": [name, "Arn"]},
        "FunctionName": {"Ref": function_name},
        "BatchSize": 10,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }
    return {
        dead: {"Type": "AWS::SQS::Queue"},
        name: {
            "Type": "AWS::SQS::Queue",
            "Properties": {"VisibilityTimeout": HIDDEN_SECONDS, "RedrivePolicy": redrive},
        },
        f"{name}Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping},
    }


def _resources(folders: dict[str, Path]) -> Resources:
    def recording(name: str, then: str) -> dict[str, Any]:
        return function(RECORD.format(folder=str(folders[name]), then=then))

    return {
        "Topic": {"Type": "AWS::SNS::Topic"},
        "Subscribed": recording("Subscribed", "return None"),
        "Subscription": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {
                "TopicArn": {"Ref": "Topic"},
                "Protocol": "lambda",
                "Endpoint": {"Fn::GetAtt": ["Subscribed", "Arn"]},
            },
        },
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "Subscribed"},
                "Principal": "sns.amazonaws.com",
                "SourceArn": {"Ref": "Topic"},
            },
        },
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": "delivery-quality",
                "Namespace": "Delivery",
                "MetricName": "Groundedness",
                "ComparisonOperator": "LessThanThreshold",
                "Threshold": 0.5,
                "Period": 60,
                "EvaluationPeriods": 1,
                "Statistic": "Average",
                "AlarmActions": [{"Ref": "Topic"}],
            },
        },
        "Composite": {
            "Type": "AWS::CloudWatch::CompositeAlarm",
            "DependsOn": "Alarm",
            "Properties": {
                "AlarmName": "delivery-any",
                "AlarmRule": "ALARM(delivery-quality)",
                "AlarmActions": [{"Ref": "Topic"}],
            },
        },
        "Picky": recording("Picky", FAIL_THE_BAD),
        "Broken": recording("Broken", EXPLODE),
        **_queue("Picked", "Picky"),
        **_queue("Exploded", "Broken"),
    }


class Delivery:
    """The deployed stack, and the events of its functions."""

    def __init__(self, stacks: Stacks, aws: Aws, folders: dict[str, Path]) -> None:
        self.aws = aws
        self._stacks = stacks
        self._folders = folders
        self._returned: set[str] = set()

    def physical_id(self, name: str) -> str:
        """What Ref returns."""
        return self._stacks.physical_id(STACK, name)

    def events(self, name: str) -> list[Any]:
        """Events of a function, oldest first."""
        found = sorted(self._folders[name].glob("*.json"), key=lambda path: path.stat().st_mtime)
        return [json.loads(path.read_text()) for path in found]

    def records(self, name: str) -> list[Any]:
        """All records of all its calls."""
        return [record for event in self.events(name) for record in event["Records"]]

    def send(self, queue: str, *bodies: str) -> None:
        """Put messages into a queue, all at once."""
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        answer = self.aws("sqs").send_message_batch(QueueUrl=self.physical_id(queue), Entries=entries)
        assert len(answer["Successful"]) == len(bodies)

    def set_aside(self, queue: str, name: str) -> int:
        """Number of messages in the dead letter queue, after failed messages were made visible again."""
        receipts = {record["receiptHandle"] for record in self.records(name) if record["body"] not in GOOD}
        for receipt in receipts - self._returned:
            self.aws("sqs").change_message_visibility(
                QueueUrl=self.physical_id(queue), ReceiptHandle=receipt, VisibilityTimeout=0
            )
        self._returned |= receipts
        return self.left(f"{queue}Dead")

    def left(self, queue: str) -> int:
        """Number of messages in a queue, visible or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.physical_id(queue)
        found = self.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def bodies(self, queue: str) -> list[str]:
        """Receive the messages of a queue."""
        answer = self.aws("sqs").receive_message(QueueUrl=self.physical_id(queue), MaxNumberOfMessages=10)
        return sorted(message["Body"] for message in answer.get("Messages", ()))


@pytest.fixture(scope="module")
def delivery(stacks: Stacks, aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    folders = {name: tmp_path_factory.mktemp(name) for name in ("Subscribed", "Picky", "Broken")}
    assert stacks.create(STACK, _resources(folders)) == "CREATE_COMPLETE", stacks.failures(STACK)
    deployed = Delivery(stacks, aws, folders)
    yield deployed
    stacks.delete(STACK)


def test_a_topic_calls_its_function(delivery: Delivery) -> None:
    topic = delivery.physical_id("Topic")
    message = {"question": "ünïcode", "score": 0.1}
    sent = delivery.aws("sns").publish(
        TopicArn=topic,
        Subject="Hello",
        Message=json.dumps(message),
        MessageAttributes={"stage": {"DataType": "String", "StringValue": "test"}},
    )

    def arrived() -> list[Any]:
        return [found for found in delivery.records("Subscribed") if found["Sns"]["MessageId"] == sent["MessageId"]]

    (record,) = eventually(arrived, "the notification has not arrived", ENOUGH_SECONDS)
    assert record["EventSource"] == "aws:sns"
    assert record["EventSubscriptionArn"].startswith(topic)
    assert record["Sns"]["TopicArn"] == topic
    assert record["Sns"]["Subject"] == "Hello"
    assert json.loads(record["Sns"]["Message"]) == message
    assert record["Sns"]["MessageAttributes"] == {"stage": {"Type": "String", "Value": "test"}}


def test_an_alarm_reaches_the_function_through_its_topic(delivery: Delivery) -> None:
    def alarmed() -> dict[str, Any]:
        messages = [json.loads(record["Sns"]["Message"]) for record in delivery.records("Subscribed")]
        found = {message["AlarmName"]: message for message in messages if "AlarmName" in message}
        return found if len(found) == 2 else {}

    metric = {"MetricName": "Groundedness", "Value": 0.1}
    delivery.aws("cloudwatch").put_metric_data(Namespace="Delivery", MetricData=[metric])
    found = eventually(alarmed, "the alarms have not arrived", ENOUGH_SECONDS)
    message, composite = found["delivery-quality"], found["delivery-any"]
    assert message["NewStateValue"] == composite["NewStateValue"] == "ALARM"
    in_words = r"Threshold Crossed: 1 datapoint \[0\.1 \(\S+ \S+\)\] was less than the threshold \(0\.5\)\."
    assert re.fullmatch(in_words, message["NewStateReason"])
    (described,) = delivery.aws("cloudwatch").describe_alarms(AlarmNames=["delivery-quality"])["MetricAlarms"]
    assert described["StateReason"] == message["NewStateReason"]
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions-Lambda.html
    assert "Trigger" not in composite and composite["AlarmRule"] == "ALARM(delivery-quality)"
    (child,) = composite["TriggeringChildren"]
    assert child["Arn"].endswith(":alarm:delivery-quality") and child["State"]["Value"] == "ALARM"


def test_only_the_failed_part_of_a_batch_is_retried_and_set_aside(delivery: Delivery) -> None:
    delivery.send("Picked", "good", "bad", "fine")
    eventually(lambda: delivery.set_aside("Picked", "Picky"), "nothing was set aside", ENOUGH_SECONDS)
    assert delivery.bodies("PickedDead") == ["bad"]
    eventually(lambda: delivery.left("Picked") == 0, "the good messages are still there", ENOUGH_SECONDS)
    records = delivery.records("Picky")
    assert Counter(record["body"] for record in records) == {"good": 1, "fine": 1, "bad": RECEIVES}
    bad = [record["attributes"]["ApproximateReceiveCount"] for record in records if record["body"] == "bad"]
    assert bad == [str(number) for number in range(1, RECEIVES + 1)]
    assert {record["eventSource"] for record in records} == {"aws:sqs"}
    arn = delivery.aws("sqs").get_queue_attributes(
        QueueUrl=delivery.physical_id("Picked"), AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    assert {record["eventSourceARN"] for record in records} == {arn}


def test_a_function_that_raises_fails_its_whole_batch(delivery: Delivery) -> None:
    delivery.send("Exploded", "one", "two")
    eventually(
        lambda: delivery.set_aside("Exploded", "Broken") == 2, "not both messages were set aside", ENOUGH_SECONDS
    )
    assert delivery.bodies("ExplodedDead") == ["one", "two"]
    assert delivery.left("Exploded") == 0
    assert Counter(record["body"] for record in delivery.records("Broken")) == {"one": RECEIVES, "two": RECEIVES}
