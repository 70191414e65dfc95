"""Every name that a template fixes is one that the preflight looks for among leftovers."""

from __future__ import annotations

import pytest

from infra.settings.deployment import load_settings
from twin.doctor.context import Context, SharedStage
from twin.doctor.stacks import fixed_names

from .conftest import Templates

NAMED = {
    "AWS::SageMaker::Endpoint": ("endpoint", "EndpointName"),
    "AWS::SageMaker::InferenceComponent": ("inference component", "InferenceComponentName"),
    "AWS::Logs::LogGroup": ("log group", "LogGroupName"),
    "AWS::SSM::Parameter": ("parameter", "Name"),
    "AWS::StepFunctions::StateMachine": ("state machine", "StateMachineName"),
    "AWS::CloudWatch::Dashboard": ("dashboard", "DashboardName"),
}
OWN_NAMES = (
    "FunctionName",
    "RoleName",
    "BucketName",
    "QueueName",
    "TopicName",
    "AlarmName",
    "ClusterName",
    "ServiceName",
)
"""Properties that would fix the name of a resource of another type."""


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_preflight_knows_every_fixed_name(stage: str, templates: dict[str, Templates]) -> None:
    found, others = set(), set()
    for template in templates[stage].values():
        for logical_id, resource in template["Resources"].items():
            kind, key = NAMED.get(resource["Type"], ("", ""))
            name = resource.get("Properties", {}).get(key)
            if name is not None:
                found.add((kind, name))
            is_owner = resource["Type"].rsplit("::", 1)[-1] + "Name"
            others |= {(logical_id, p) for p in OWN_NAMES if p == is_owner and p in resource.get("Properties", {})}
    context = Context(SharedStage(stage, "us-east-1"), load_settings(stage))
    assert found == fixed_names(context)
    assert others == set()
