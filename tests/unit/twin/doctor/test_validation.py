"""What `cdk validate --online` prints becomes findings; the output is that of the pinned command line."""

from __future__ import annotations

from twin.doctor.finding import Status
from twin.doctor.validation import parse

OUTPUT = """FATAL Model validation failed (#/RetentionInDays: not in [enum]) (CloudFormation)
   twin-dev-business/Api/Logs/Resource (ApiLogs1)
   Rule CloudFormation::PROPERTY_VALIDATION_VALIDATION_ERROR

FATAL Resource of type 'AWS::Logs::LogGroup' with identifier '/x' already exists. (CloudFormation)
   quick/Group1 (Group1)
   Rule CloudFormation::NAME_CONFLICT_VALIDATION_VALIDATION_ERROR

FATAL Template error: stack twin-dev-network does not exist (CloudFormation)
   twin-dev-llm
   Rule CloudFormation::CloudFormationValidation

WARNING RetentionInDays: 8 is not one of [1, 3, 5] (CloudFormation Validate)
   quick/Group0 (Group0) aws-cdk-lib.aws_logs.CfnLogGroup
   Acknowledge with 'CloudFormation-Validate::W3030'

Online validation could not be completed for stack 'twin-dev-guard': no credentials
"""


def test_problems_are_failures_and_what_could_not_be_looked_at_is_a_warning() -> None:
    schema, taken, other, missing = parse(OUTPUT)
    assert [each.status for each in (schema, taken, other, missing)] == [
        Status.FAILED,
        Status.FAILED,
        Status.WARNING,
        Status.WARNING,
    ]
    assert schema.seen.startswith("twin-dev-business/Api/Logs/Resource (ApiLogs1): Model validation failed")
    assert "already exists" in taken.seen and taken.seen.startswith("quick/Group1")
    assert missing.seen == "not available for twin-dev-guard: no credentials"


def test_an_output_without_problems_has_no_findings() -> None:
    assert list(parse("Validation did not find any problems.\n")) == []
