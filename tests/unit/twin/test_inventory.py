"""What counts as a survivor of a stage."""

from __future__ import annotations

from typing import Any

import pytest

from twin.inventory import _has_tags, _is_gone, _is_ours
from twin.stages import Stage

DEV = Stage(name="dev", region="us-east-1")


@pytest.mark.parametrize(
    "name",
    [
        "twin-dev-llm",
        "arn:aws:sns:us-east-1:000000000000:twin-dev-evaluation-Alerts1",
        "http://127.0.0.1:4566/000000000000/twin-dev-evaluation-Samples",
        "/aws/lambda/twin-dev-evaluation-Notify",
        "service/twin-dev-business-Cluster/twin-dev-business-Service",
        "/twin/dev/evaluation/watermark",
    ],
)
def test_names_of_the_stage_are_ours(name: str) -> None:
    assert _is_ours(name, DEV)


@pytest.mark.parametrize("name", ["twin-development-llm", "twin-prod-llm", "not-twin-dev-llm", "CDKToolkit", ""])
def test_names_of_others_are_not(name: str) -> None:
    assert not _is_ours(name, DEV)


def test_tags_or_the_stages_vpc_make_a_network_resource_ours() -> None:
    tagged = {"Tags": [{"Key": "project", "Value": "llm-twin"}, {"Key": "stage", "Value": "dev"}]}
    assert _has_tags(tagged, DEV, set())
    assert _has_tags({"VpcId": "vpc-1"}, DEV, {"vpc-1"})
    assert not _has_tags({"VpcId": "vpc-2", "Tags": [{"Key": "stage", "Value": "dev"}]}, DEV, {"vpc-1"})


@pytest.mark.parametrize(
    ("item", "gone"),
    [
        ({"StackStatus": "DELETE_COMPLETE"}, True),
        ({"State": "deleted"}, True),
        ({"DeletedDate": "2026-01-01"}, True),
        ({"StackStatus": "DELETE_FAILED"}, False),
        ("twin-dev-llm", False),
    ],
)
def test_what_is_deleted_is_gone(item: Any, gone: bool) -> None:
    assert _is_gone(item) is gone
