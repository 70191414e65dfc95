"""What CloudFormation refuses by the schema of a resource type."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.emulator.conftest import Stacks
from tests.integration.emulator.rules.refusals import assert_stack_refused, resource
from tests.integration.emulator.rules.test_names import TRUST


@pytest.mark.parametrize(
    ("kind", "properties", "path", "keyword"),
    [
        ("Logs::LogGroup", {"RetentionInDays": 8}, "#/RetentionInDays", "enum"),
        (
            "IAM::Role",
            {"MaxSessionDuration": 43_201, "AssumeRolePolicyDocument": TRUST},
            "MaxSessionDuration",
            "maximum",
        ),
        ("IAM::Role", {"RoleName": "x" * 65, "AssumeRolePolicyDocument": TRUST}, "#/RoleName", "maxLength"),
        ("Scheduler::ScheduleGroup", {"Name": "x" * 65}, "#/Name", "maxLength"),
        ("SQS::Queue", {"VisibilityTimeout": "43201"}, "#/VisibilityTimeout", "maximum"),
        ("SQS::Queue", {"MessageRetentionPeriod": 59}, "#/MessageRetentionPeriod", "minimum"),
        (
            "S3::Bucket",
            {"VersioningConfiguration": {"Status": "On"}},
            "#/VersioningConfiguration/Status",
            "enum",
        ),
    ],
)
def test_a_property_keeps_its_schema(
    stacks: Stacks, kind: str, properties: dict[str, Any], path: str, keyword: str
) -> None:
    words = f"{path}: failed validation constraint for keyword [{keyword}]"
    assert_stack_refused(stacks, "resource-schema", words, Broken=resource(kind, **properties))
