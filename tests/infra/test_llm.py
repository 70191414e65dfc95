"""LLM stack: names, sleeping and waking, secrets."""

from __future__ import annotations

from .conftest import Synthesize, Template, Templates, only, read, resources


def environment(template: Template) -> Template:
    found: Template = only(template, "SageMaker::Model")["PrimaryContainer"]["Environment"]
    return found


def alarms(template: Template) -> dict[str, Template]:
    """Properties of the alarms by metric."""
    found = resources(template, "CloudWatch::Alarm").values()
    return {alarm["Properties"]["MetricName"]: alarm["Properties"] for alarm in found}


def test_a_new_model_is_a_new_physical_model_under_the_same_endpoint(dev: Templates, synthesize: Synthesize) -> None:
    variables = {
        "TWIN_LLM__MODEL_ID": "Qwen/Qwen2.5-14B-Instruct",
        "TWIN_LLM__INSTANCE_TYPE": "ml.g6e.2xlarge",
        "TWIN_LLM__HUB_TOKEN_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:111122223333:secret:hub-AbCdEf",
    }
    old, new = dev["llm"], read(synthesize("dev", variables), "dev")["llm"]
    assert set(old["Resources"]) == set(new["Resources"])
    changed = {name for name in old["Resources"] if old["Resources"][name] != new["Resources"][name]}
    assert changed == {*resources(old, "SageMaker::Model"), *resources(old, "SageMaker::EndpointConfig")}
    # Both are immutable, so CloudFormation makes new ones: a name of ours would collide with the old one.
    assert "ModelName" not in only(new, "SageMaker::Model")
    assert "EndpointConfigName" not in only(new, "SageMaker::EndpointConfig")
    # The token itself is in no template, only where CloudFormation finds it.
    assert environment(new)["HF_TOKEN"].startswith("{{resolve:secretsmanager:arn:aws:secretsmanager:")


def test_endpoint_and_component_follow_model_and_config_by_reference(dev: Templates) -> None:
    template = dev["llm"]
    (model,) = resources(template, "SageMaker::Model")
    (config,) = resources(template, "SageMaker::EndpointConfig")
    endpoint, component = only(template, "SageMaker::Endpoint"), only(template, "SageMaker::InferenceComponent")
    assert endpoint["EndpointConfigName"] == {"Fn::GetAtt": [config, "EndpointConfigName"]}
    assert component["Specification"]["ModelName"] == {"Fn::GetAtt": [model, "ModelName"]}
    assert component["EndpointName"] == endpoint["EndpointName"] == template["Outputs"]["EndpointName"]["Value"]
    assert (
        component["VariantName"] == only(template, "SageMaker::EndpointConfig")["ProductionVariants"][0]["VariantName"]
    )


def test_it_sleeps_when_idle_and_wakes_at_the_first_request(dev: Templates) -> None:
    template = dev["llm"]
    variant = only(template, "SageMaker::EndpointConfig")["ProductionVariants"][0]
    assert variant["ManagedInstanceScaling"]["MinInstanceCount"] == 0
    assert variant["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    component = only(template, "SageMaker::InferenceComponent")["InferenceComponentName"]
    target = only(template, "ApplicationAutoScaling::ScalableTarget")
    assert target["MinCapacity"] == 0
    assert target["ResourceId"] == f"inference-component/{component}"
    assert target["ScalableDimension"] == "sagemaker:inference-component:DesiredCopyCount"
    policies = resources(template, "ApplicationAutoScaling::ScalingPolicy")
    kinds = {found["Properties"]["PolicyType"]: name for name, found in policies.items()}
    assert set(kinds) == {"TargetTrackingScaling", "StepScaling"}
    alarm = alarms(template)["NoCapacityInvocationFailures"]
    assert alarm["Dimensions"] == [{"Name": "InferenceComponentName", "Value": component}]
    assert alarm["AlarmActions"] == [{"Ref": kinds["StepScaling"]}]
    # SageMaker publishes the metric once a minute, and a period below costs three times as much.
    assert alarm["Period"] == 60


def test_the_container_serves_the_pinned_model(templates: dict[str, Templates]) -> None:
    served = environment(templates["dev"]["llm"])
    assert set(served) == {
        "SM_VLLM_MODEL",
        "SM_VLLM_REVISION",
        "SM_VLLM_MAX_MODEL_LEN",
        "SM_VLLM_DTYPE",
        "SM_VLLM_TENSOR_PARALLEL_SIZE",
    }
    assert set(environment(templates["local"]["llm"])) == {*served, "LLM_ENGINE"}
    image = only(templates["dev"]["llm"], "SageMaker::Model")["PrimaryContainer"]["Image"]
    assert image == "763104351884.dkr.ecr.us-east-1.amazonaws.com/vllm:server-sagemaker-cuda-v2.3"
