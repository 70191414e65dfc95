"""What AWS does that is no refusal."""

from __future__ import annotations

from typing import Any

from tests.integration.emulator.cases import IMAGE, ROLE
from tests.integration.emulator.conftest import Aws, Stacks
from tests.integration.emulator.rules.refusals import resource


def test_a_weak_reference_goes_stale(aws: Aws, stacks: Stacks) -> None:
    def producer(name: str) -> dict[str, Any]:
        return {"Value": resource("SSM::Parameter", Name=name, Type="String", Value="any")}

    def consumer(description: str) -> dict[str, Any]:
        found = {"Fn::GetStackOutput": {"StackName": "weak-producer", "OutputName": "Name"}}
        properties = {"Name": "/weak/seen", "Type": "String", "Value": found, "Description": description}
        return {"Seen": resource("SSM::Parameter", **properties)}

    def seen() -> str:
        return str(aws("ssm").get_parameter(Name="/weak/seen")["Parameter"]["Value"])

    outputs = {"Name": {"Ref": "Value"}}
    assert stacks.create("weak-producer", producer("/weak/one"), outputs) == "CREATE_COMPLETE"
    assert stacks.create("weak-consumer", consumer("first")) == "CREATE_COMPLETE", stacks.failures("weak-consumer")
    assert seen() == "/weak/one"
    assert stacks.update("weak-producer", producer("/weak/two"), outputs) == "UPDATE_COMPLETE"
    assert stacks.outputs("weak-producer") == {"Name": "/weak/two"}
    assert seen() == "/weak/one"
    assert stacks.update("weak-consumer", consumer("second")) == "UPDATE_COMPLETE"
    assert seen() == "/weak/two"
    # Nothing keeps the stack that another one reads.
    stacks.delete("weak-producer")
    assert seen() == "/weak/two"
    stacks.delete("weak-consumer")


def test_a_list_of_scalable_targets_has_fifty(aws: Aws) -> None:
    scaling, namespace = aws("application-autoscaling"), {"ServiceNamespace": "ecs"}
    targets = [
        {**namespace, "ResourceId": f"service/rules/{number}", "ScalableDimension": "ecs:service:DesiredCount"}
        for number in range(51)
    ]
    for target in targets:
        scaling.register_scalable_target(MinCapacity=0, MaxCapacity=1, **target)
    first = scaling.describe_scalable_targets(**namespace)
    assert len(first["ScalableTargets"]) == 50
    (last,) = scaling.describe_scalable_targets(NextToken=first["NextToken"], **namespace)["ScalableTargets"]
    assert last["ResourceId"] == "service/rules/50"
    for target in targets:
        scaling.deregister_scalable_target(**target)


def test_a_list_of_sagemaker_has_ten(aws: Aws) -> None:
    sagemaker, names = aws("sagemaker"), [f"paged-{number}" for number in range(11)]
    for name in names:
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
    first = sagemaker.list_models(NameContains="paged-")
    assert len(first["Models"]) == 10
    assert len(sagemaker.list_models(NameContains="paged-", NextToken=first["NextToken"])["Models"]) == 1
    for name in names:
        sagemaker.delete_model(ModelName=name)
