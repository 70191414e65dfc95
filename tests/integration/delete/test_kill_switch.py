"""The deployed kill switch: the budget's letter parks the model and people are told; no other letter does."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from tests.budget_notice import notice
from tests.infra.conftest import resources
from tests.integration.delete.conftest import Cloud
from tests.integration.emulator.conftest import eventually
from twin.delete.delete import delete

COMPONENT = "twin-local-llm-model"


@pytest.fixture(scope="module")
def told(cloud: Cloud) -> Callable[[], tuple[str, str]]:
    """Deployed stacks; gives what the alerts' topic says next, as (subject, text)."""
    cloud.create_all(("llm", "evaluation", "guard"))
    sqs, sns = cloud.emulator.client("sqs"), cloud.emulator.client("sns")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = output(cloud, "evaluation", "AlertsTopicArn")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def next_one() -> tuple[str, str]:
        found = eventually(
            lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), "nobody was told"
        )
        sqs.delete_message(QueueUrl=url, ReceiptHandle=found[0]["ReceiptHandle"])
        body = json.loads(found[0]["Body"])
        return body["Subject"], body["Message"]

    return next_one


def output(cloud: Cloud, part: str, key: str) -> str:
    outputs = cloud.cloudformation.describe_stacks(StackName=cloud.name(part))["Stacks"][0]["Outputs"]
    return str({each["OutputKey"]: each["OutputValue"] for each in outputs}[key])


def say(cloud: Cloud, message: str) -> None:
    """As AWS Budgets does."""
    topic = output(cloud, "guard", "KillSwitchTopicArn")
    subject = "AWS Budgets: month has exceeded your alert threshold"
    cloud.emulator.client("sns").publish(TopicArn=topic, Subject=subject, Message=message)


def stands(cloud: Cloud) -> bool:
    try:
        return cloud.status("llm") != "DELETE_COMPLETE"
    except ClientError:
        return False


def copies(cloud: Cloud) -> int:
    described = cloud.emulator.client("sagemaker").describe_inference_component(InferenceComponentName=COMPONENT)
    return int(described["RuntimeConfig"]["DesiredCopyCount"])


def budget(cloud: Cloud) -> str:
    ((logical_id, _),) = resources(cloud.templates["guard"], "Budgets::Budget").items()
    return cloud.physical_ids("guard")[logical_id]


def test_only_the_letter_of_a_spent_budget_parks_the_model(cloud: Cloud, told: Callable[[], tuple[str, str]]) -> None:
    say(cloud, notice(budget(cloud), "$400.00", "$412.00", kind="FORECASTED"))
    subject, text = told()
    assert subject == "Nothing was stopped by the budget"
    assert "Alert Type: FORECASTED" in text
    assert copies(cloud) == 1

    say(cloud, notice(budget(cloud), "$400.00", "$400.15"))
    subject, text = told()
    assert subject == "Budget spent: the model of stage local is parked"
    assert "400.15 of the month's 400.00 USD are spent" in text
    assert "make deploy-inference-pipeline STAGE=local" in text
    assert copies(cloud) == 0
    scaling = cloud.emulator.client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[f"inference-component/{COMPONENT}"]
    )["ScalableTargets"]
    assert target["SuspendedState"]["DynamicScalingOutSuspended"]
    assert cloud.status("llm") == "CREATE_COMPLETE"


def test_a_model_that_cannot_be_parked_is_deleted_and_it_is_said_once(
    cloud: Cloud, told: Callable[[], tuple[str, str]]
) -> None:
    """Its scalable target is gone, as after a deletion that stopped half-way."""
    cloud.emulator.client("application-autoscaling").deregister_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"inference-component/{COMPONENT}",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
    )
    say(cloud, notice(budget(cloud), "$400.00", "$400.15"))
    subject, text = told()
    assert subject == "Budget spent: twin-local-llm is deleted"
    assert "since its model was not parked: " in text
    eventually(lambda: not stands(cloud), "the stack still stands")

    say(cloud, notice(budget(cloud), "$400.00", "$400.15"))
    say(cloud, "another word")
    assert told()[0] == "Nothing was stopped by the budget", (
        "the second letter found nothing to delete, and is not told"
    )


def test_a_parked_stage_is_deleted_without_a_survivor(cloud: Cloud) -> None:
    cloud.create_all(("llm", "evaluation", "guard"))
    answer = cloud.emulator.client("lambda").invoke(
        FunctionName=output(cloud, "guard", "ExpireFunctionName"), Payload=json.dumps({"action": "park"})
    )
    assert json.loads(answer["Payload"].read())["parked"] == [COMPONENT]
    assert copies(cloud) == 0
    assert delete(cloud.stage, lambda _: None) == []
