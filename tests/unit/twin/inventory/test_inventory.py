"""What a list of a service says: gone or not, and what an ARN is."""

from __future__ import annotations

from typing import Any

import pytest

from twin.inventory.listings import LISTINGS, kinds_checked, services_checked
from twin.inventory.survivors import is_going, is_gone, kind_of


@pytest.mark.parametrize(
    ("item", "gone"),
    [
        ({"StackStatus": "DELETE_COMPLETE"}, True),
        ({"State": "deleted"}, True),
        ({"DeletedDate": "2026-01-01"}, True),
        ({"StackStatus": "DELETE_FAILED"}, False),
        ({"StackStatus": "DELETE_IN_PROGRESS"}, False),
        ({"State": "deleting"}, False),
        ({"State": {"Code": 48, "Name": "terminated"}}, True),
        ({"State": {"Code": "active"}}, False),
        ("twin-dev-llm", False),
    ],
)
def test_what_is_deleted_is_gone(item: Any, gone: bool) -> None:
    assert is_gone(item) is gone


@pytest.mark.parametrize(
    ("item", "going"),
    [
        ({"StackStatus": "DELETE_IN_PROGRESS"}, True),
        ({"EndpointStatus": "Deleting"}, True),
        ({"State": {"Code": 32, "Name": "shutting-down"}}, True),
        ({"Status": "Delete in progress"}, True),
        ({"Id": "E1", "DomainName": "d1.cloudfront.net", "Enabled": False, "Status": "InProgress"}, True),
        ({"Id": "E1", "DomainName": "d1.cloudfront.net", "Enabled": True, "Status": "Deployed"}, False),
        ({"NetworkInterfaceId": "eni-1", "Status": "in-use"}, True),
        ({"NetworkInterfaceId": "eni-1", "Status": "available"}, False),
        ({"State": "enabled"}, False),
        ("twin-dev-llm", False),
    ],
)
def test_what_aws_is_still_deleting_is_waited_for(item: Any, going: bool) -> None:
    assert is_going(item) is going


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        ("arn:aws:sagemaker:us-east-1:000000000000:endpoint/twin-dev-llm", ("sagemaker", "endpoint")),
        ("arn:aws:lambda:us-east-1:000000000000:function:f", ("lambda", "function")),
        ("arn:aws:sqs:us-east-1:000000000000:queue", ("sqs", "")),
        ("arn:aws:s3:::bucket", ("s3", "")),
        ("arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f", ("logs", "log-group")),
        ("arn:aws:ecs:us-east-1:000000000000:task-definition/family:3", ("ecs", "task-definition")),
    ],
)
def test_service_and_type_of_an_arn(arn: str, kind: tuple[str, str]) -> None:
    assert kind_of(arn) == kind


def test_what_is_looked_at_is_said() -> None:
    assert {"sagemaker", "kms", "resourcegroupstaggingapi", "secretsmanager"} <= set(services_checked())
    assert kinds_checked() > len(LISTINGS)
