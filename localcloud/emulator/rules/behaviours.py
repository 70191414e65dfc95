"""What AWS does that is no refusal, and the local cloud with it: for the page of what AWS refuses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Behaviour:
    """One thing that surprises.

    Attributes:
        service: as AWS calls it.
        what: half a sentence for the table.
        source: address of the page, or name of the model.
        seen: when the source was read.
        test: test that sees the local cloud do so, as pytest names it.
    """

    service: str
    what: str
    source: str
    seen: date
    test: str


_SEEN = date(2026, 11, 29)
_TESTS = "tests/integration/emulator/rules/test_behaviours.py"
BEHAVIOURS = (
    Behaviour(
        "CloudFormation",
        "`Fn::GetStackOutput` is read when the stack that uses it is created or updated: a value that changes later "
        "goes stale, and nothing keeps the stack that it comes from",
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/"
        "intrinsic-function-reference-getstackoutput.html",
        _SEEN,
        f"{_TESTS}::test_a_weak_reference_goes_stale",
    ),
    Behaviour(
        "Application Auto Scaling",
        "a list has 50 targets, policies or actions, and a token for the rest",
        "botocore 1.43.106, application-autoscaling/2016-02-06, DescribeScalableTargets",
        _SEEN,
        f"{_TESTS}::test_a_list_of_scalable_targets_has_fifty",
    ),
    Behaviour(
        "SageMaker",
        "a list has 10 models, configurations, endpoints or components, and a token for the rest",
        "botocore 1.43.106, sagemaker 2017-07-24, ListEndpoints",
        _SEEN,
        f"{_TESTS}::test_a_list_of_sagemaker_has_ten",
    ),
)
