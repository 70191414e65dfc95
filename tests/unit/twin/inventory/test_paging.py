"""Lists that come in pages are read to their end."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from twin.inventory.listings import LISTINGS
from twin.inventory.ownership import Ownership
from twin.inventory.pages import MARKERS, pages
from twin.inventory.survivors import Survivor, _scalable_targets
from twin.target.stage import Stage

UNPAGED = {"describe_addresses"}
"""Operations that give everything in one answer."""


def client_of(service: str) -> Any:
    return boto3.client(service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")


def test_no_list_ends_with_its_first_page() -> None:
    for listing in LISTINGS:
        client = client_of(listing.service)
        if client.can_paginate(listing.operation) or listing.operation in UNPAGED:
            continue
        model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[listing.operation])
        assert MARKERS[listing.service] in model.input_shape.members, f"{listing.operation} is read one page only"
        outer = listing.key.split(".")[0]
        beside = model.output_shape.members[outer] if "." in listing.key else model.output_shape
        assert "NextMarker" in beside.members


@pytest.mark.parametrize(
    ("service", "operation", "key", "first", "then"),
    [
        (
            "wafv2",
            "list_web_acls",
            "WebACLs",
            {"WebACLs": [{"Name": "a"}], "NextMarker": "a"},
            {"Scope": "REGIONAL", "NextMarker": "a"},
        ),
        (
            "cloudfront",
            "list_functions",
            "FunctionList.Items",
            {"FunctionList": {"MaxItems": 1, "Quantity": 1, "NextMarker": "a"}},
            {"Marker": "a"},
        ),
        ("sqs", "list_queues", "QueueUrls", {"QueueUrls": ["a"], "NextToken": "a"}, {"NextToken": "a"}),
    ],
)
def test_the_next_page_is_asked_for(
    service: str, operation: str, key: str, first: dict[str, Any], then: dict[str, Any]
) -> None:
    client = client_of(service)
    asked = {"Scope": "REGIONAL"} if service == "wafv2" else {}
    with Stubber(client) as answers:
        answers.add_response(operation, first, asked)
        answers.add_response(operation, {}, then)
        assert list(pages(client, operation, key, **asked)) == [first, {}]
        answers.assert_no_pending_responses()


def test_a_scalable_target_on_the_second_page_is_a_survivor() -> None:
    stage = Stage("dev", "us-east-1")
    client = client_of("application-autoscaling")
    stage._clients["application-autoscaling"] = client

    def target(name: str) -> dict[str, Any]:
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": name,
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
            "MinCapacity": 0,
            "MaxCapacity": 1,
            "RoleARN": "arn:aws:iam::123456789012:role/r",
            "CreationTime": "2026-01-01",
        }

    asked = {"ServiceNamespace": "sagemaker"}
    with Stubber(client) as answers:
        others = [target(f"endpoint/other-{number}/variant/v") for number in range(50)]
        operation = "describe_scalable_targets"
        answers.add_response(operation, {"ScalableTargets": others, "NextToken": "n"}, asked)
        own = target("inference-component/twin-dev-llm")
        answers.add_response(operation, {"ScalableTargets": [own]}, {**asked, "NextToken": "n"})
        answers.add_response(operation, {"ScalableTargets": []}, {"ServiceNamespace": "ecs"})
        found = _scalable_targets(Ownership(stage))
    assert found == [Survivor("application-autoscaling", "scalable target", "inference-component/twin-dev-llm")]
