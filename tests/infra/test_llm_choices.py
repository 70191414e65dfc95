"""Each choice of the LLM's settings, in a template of the LLM stack alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from pydantic import ValidationError

from infra.constructs.evaluation.judge_access import JudgeAccess
from infra.constructs.llm.metrics import LlmMetrics
from infra.constructs.rag.environment import service_environment
from infra.settings.deployment import DeploymentSettings, load_settings
from infra.settings.llm import LlmSettings
from infra.stacks.llm import LlmStack

from .changes import Action, by_type, changes, fixed_names
from .conftest import Template, only, resources
from .test_llm import alarms, environment
from .test_updates import CONFIG, MODEL

KEY = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000"
# pragma: allowlist nextline secret - commit of the model on the hub
REVISION = "a09a35458c702b33eeacc393d103063234e8bc28"
PREFIX = f"models/Qwen/Qwen2.5-7B-Instruct/{REVISION}/"
GUARDS = {"InvocationModelErrors", "Invocation5XXErrors", "MidStreamErrors"}
POLICY: dict[str, Action] = {"IAM::Policy": "update"}
Llm = Callable[..., Template]


def settings(**llm: Any) -> DeploymentSettings:
    return load_settings("dev").model_copy(update={"llm": LlmSettings.model_validate(llm)})


def stack(**llm: Any) -> tuple[cdk.App, LlmStack]:
    app = cdk.App()
    env = cdk.Environment(account="111122223333", region="us-east-1")
    return app, LlmStack(app, "twin-dev-llm", settings=settings(**llm), env=env)


@pytest.fixture(scope="module")
def llm() -> Llm:
    """The template of the LLM stack with some settings, made once; for reading only."""
    made: dict[str, Template] = {}

    def build(**changed: Any) -> Template:
        key = json.dumps(changed, sort_keys=True)
        if key not in made:
            made[key] = dict(assertions.Template.from_stack(stack(**changed)[1]).to_json())
        return made[key]

    return build


def statements(template: Template) -> dict[str, Template]:
    """Statements of the execution role by name."""
    return {each["Sid"]: each for each in only(template, "IAM::Policy")["PolicyDocument"]["Statement"]}


def text(value: Any) -> str:
    """A value with the partition filled in."""
    if isinstance(value, str):
        return value
    return "".join(part if isinstance(part, str) else "aws" for part in value["Fn::Join"][1])


def test_staged_weights_come_from_the_bucket_into_a_container_without_network(llm: Llm) -> None:
    template = llm(weights="s3")
    model = only(template, "SageMaker::Model")
    assert model["EnableNetworkIsolation"] is True
    assert only(template, "SageMaker::EndpointConfig")["EnableNetworkIsolation"] is True
    bucket = "twin-dev-weights-111122223333-us-east-1"
    source = model["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
    assert source == {"S3Uri": f"s3://{bucket}/{PREFIX}", "S3DataType": "S3Prefix", "CompressionType": "None"}
    served = environment(template)
    assert served["SM_VLLM_MODEL"] == "/opt/ml/model"
    assert served["SM_VLLM_SERVED_MODEL_NAME"] == "Qwen/Qwen2.5-7B-Instruct"
    assert not {"SM_VLLM_REVISION", "HF_TOKEN"} & set(served)
    found = statements(template)
    assert found["ReadWeights"]["Action"] == "s3:GetObject"
    assert text(found["ReadWeights"]["Resource"]) == f"arn:aws:s3:::{bucket}/{PREFIX}*"
    assert text(found["ListWeights"]["Resource"]) == f"arn:aws:s3:::{bucket}"
    assert found["ListWeights"]["Condition"] == {"StringLike": {"s3:prefix": f"{PREFIX}*"}}
    assert "DecryptWeights" not in found


@pytest.mark.parametrize(
    ("container", "variable"), [("vllm", "SM_VLLM_SERVED_MODEL_NAME"), ("lmi", "OPTION_SERVED_MODEL_NAME")]
)
@pytest.mark.parametrize("weights", ["hub", "s3"])
def test_the_model_answers_by_the_name_that_is_set(llm: Llm, container: str, variable: str, weights: str) -> None:
    template = llm(container=container, weights=weights, served_model_name="ada-twin")
    assert environment(template)[variable] == "ada-twin"


def test_a_model_of_the_hub_needs_no_bucket_but_a_network(llm: Llm) -> None:
    template = llm()
    model = only(template, "SageMaker::Model")
    assert not {"EnableNetworkIsolation", "VpcConfig"} & set(model)
    assert "ModelDataSource" not in model["PrimaryContainer"]
    assert not [sid for sid in statements(template) if "Weights" in sid]


def test_a_bucket_and_a_key_of_ones_own(llm: Llm) -> None:
    template = llm(weights="s3", weights_bucket="team-models", weights_kms_key_arn=KEY)
    found = statements(template)
    assert text(found["ReadWeights"]["Resource"]) == f"arn:aws:s3:::team-models/{PREFIX}*"
    assert (found["DecryptWeights"]["Action"], found["DecryptWeights"]["Resource"]) == ("kms:Decrypt", KEY)


def test_another_revision_is_another_prefix_and_so_another_model(llm: Llm) -> None:
    old, new = llm(weights="s3"), llm(weights="s3", model_revision="b" * 40)
    changed = {name for name in old["Resources"] if old["Resources"][name] != new["Resources"][name]}
    assert changed == {*resources(old, "SageMaker::Model"), *resources(old, "IAM::Policy")}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {},
            {
                "HF_MODEL_ID": "Qwen/Qwen2.5-7B-Instruct",
                "OPTION_REVISION": REVISION,
                "OPTION_SERVED_MODEL_NAME": "Qwen/Qwen2.5-7B-Instruct",
                "OPTION_DTYPE": "bf16",
                "SERVING_FAIL_FAST": "true",
                "OPTION_MAX_MODEL_LEN": "8192",
                "TENSOR_PARALLEL_DEGREE": "1",
            },
        ),
        (
            {"weights": "s3", "dtype": "auto", "quantization": "fp8", "accelerators": 4},
            {
                "OPTION_SERVED_MODEL_NAME": "Qwen/Qwen2.5-7B-Instruct",
                "OPTION_QUANTIZE": "fp8",
                "SERVING_FAIL_FAST": "true",
                "OPTION_MAX_MODEL_LEN": "8192",
                "TENSOR_PARALLEL_DEGREE": "4",
            },
        ),
    ],
)
def test_lmi_gets_its_own_options(llm: Llm, changed: dict[str, Any], expected: dict[str, str]) -> None:
    template = llm(container="lmi", **changed)
    assert environment(template) == expected
    image = only(template, "SageMaker::Model")["PrimaryContainer"]["Image"]
    assert "/djl-inference:" in image
    assert text(statements(template)["PullImage"]["Resource"]).endswith(":repository/djl-inference")


@pytest.mark.parametrize(
    ("quantization", "told"),
    [("none", None), ("awq", None), ("gptq", None), ("fp8", "fp8"), ("bitsandbytes", "bitsandbytes")],
)
def test_the_engine_gets_the_quantization_that_it_does_itself(llm: Llm, quantization: str, told: str | None) -> None:
    assert environment(llm(quantization=quantization)).get("SM_VLLM_QUANTIZATION") == told


def test_an_update_rolls_and_is_taken_back_by_alarms(llm: Llm) -> None:
    template = llm(bake_seconds=240, startup_timeout_seconds=900)
    component = only(template, "SageMaker::InferenceComponent")
    policy = component["DeploymentConfig"]["RollingUpdatePolicy"]
    assert policy == {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "WaitIntervalInSeconds": 240,
        # Two batches, each started and watched.
        "MaximumExecutionTimeoutInSeconds": 2 * (900 + 240),
    }
    guards = {name: each["Properties"] for name, each in resources(template, "CloudWatch::Alarm").items()}
    named = [
        alarm["AlarmName"]["Ref"] for alarm in component["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    ]
    assert {guards[name]["MetricName"] for name in named} == GUARDS
    for name in named:
        alarm = guards[name]
        assert alarm["Dimensions"] == [{"Name": "InferenceComponentName", "Value": "twin-dev-llm-model"}]
        assert (alarm["Threshold"], alarm["Period"], alarm["TreatMissingData"]) == (3, 60, "notBreaching")
        assert "AlarmName" not in alarm
    watched = statements(template)["WatchUpdates"]
    assert watched["Action"] == "cloudwatch:DescribeAlarms"
    assert [arn["Fn::GetAtt"][0] for arn in watched["Resource"]] == named


def test_the_time_limit_of_an_update_stays_within_sagemakers(llm: Llm) -> None:
    def seconds(**changed: Any) -> int:
        component = only(llm(**changed), "SageMaker::InferenceComponent")
        return int(component["DeploymentConfig"]["RollingUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"])

    assert seconds(startup_timeout_seconds=60, bake_seconds=60) == 600
    assert seconds(startup_timeout_seconds=3600, bake_seconds=3600) == 14_400


def test_without_a_number_of_errors_nothing_guards_an_update(llm: Llm) -> None:
    template = llm(rollback_errors=None)
    assert "AutoRollbackConfiguration" not in only(template, "SageMaker::InferenceComponent")["DeploymentConfig"]
    assert set(alarms(template)) == {"NoCapacityInvocationFailures"}
    assert "WatchUpdates" not in statements(template)


def test_a_real_time_endpoint_holds_the_model_and_never_sleeps(llm: Llm) -> None:
    template = llm(mode="real-time", weights="s3", max_instances=3)
    assert resources(template, "SageMaker::InferenceComponent") == {}
    assert set(template["Outputs"]) == {"EndpointName", "ModelId"}
    config = only(template, "SageMaker::EndpointConfig")
    # Where the variant names a model, role and isolation are the model's.
    assert not {"ExecutionRoleArn", "EnableNetworkIsolation"} & set(config)
    (variant,) = config["ProductionVariants"]
    (model,) = resources(template, "SageMaker::Model")
    assert variant["ModelName"] == {"Fn::GetAtt": [model, "ModelName"]}
    assert "ManagedInstanceScaling" not in variant
    target = only(template, "ApplicationAutoScaling::ScalableTarget")
    assert target["ResourceId"] == "endpoint/twin-dev-llm/variant/AllTraffic"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"
    policy = only(template, "ApplicationAutoScaling::ScalingPolicy")["TargetTrackingScalingPolicyConfiguration"]
    kind = policy["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert kind == "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    assert only(template, "Logs::LogGroup")["LogGroupName"] == "/aws/sagemaker/Endpoints/twin-dev-llm"


def test_a_real_time_endpoint_is_updated_by_a_second_fleet(llm: Llm) -> None:
    endpoint = only(llm(mode="real-time"), "SageMaker::Endpoint")
    update = endpoint["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert update["TrafficRoutingConfiguration"] == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 180}
    assert len(endpoint["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]) == 3
    # The number of instances is scaling's.
    assert endpoint["RetainAllVariantProperties"] is True
    guards = alarms(llm(mode="real-time"))
    assert set(guards) == GUARDS
    for alarm in guards.values():
        assert {pair["Name"]: pair["Value"] for pair in alarm["Dimensions"]} == {
            "EndpointName": "twin-dev-llm",
            "VariantName": "AllTraffic",
        }


def test_callers_of_a_real_time_endpoint_name_no_component() -> None:
    def declared(mode: str) -> dict[str, str]:
        return service_environment(settings(mode=mode))

    assert declared("inference-component")["LLM_INFERENCE_COMPONENT_NAME"] == "twin-dev-llm-model"
    assert "LLM_INFERENCE_COMPONENT_NAME" not in declared("real-time")
    judged = settings(mode="real-time")
    judged = judged.model_copy(update={"judge": judged.judge.model_copy(update={"provider": "sagemaker"})})
    access = JudgeAccess(cdk.Stack(cdk.App(), "Judging"), "Judge", settings=judged)
    assert access.environment["JUDGE_ENDPOINT_NAME"] == "twin-dev-llm"
    assert "JUDGE_INFERENCE_COMPONENT_NAME" not in access.environment
    metric = LlmMetrics.of(judged).copies()
    assert metric.namespace == "/aws/sagemaker/Endpoints"


@pytest.mark.parametrize(
    ("chosen", "counts"),
    [
        ({}, True),
        ({"container": "lmi"}, False),
        ({"image": "{registry}.dkr.ecr.{region}.amazonaws.com/vllm:server-sagemaker-cuda-v1.3"}, False),
        ({"image": "{registry}.dkr.ecr.{region}.amazonaws.com/vllm:server-sagemaker-cuda-v1.4"}, True),
        ({"image": "{registry}.dkr.ecr.{region}.amazonaws.com/vllm:server-sagemaker-cuda-v1"}, True),
        ({"image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/own:cu130"}, False),
        ({"image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/own:cu130", "count_tokens": True}, True),
        ({"count_tokens": False}, False),
    ],
)
def test_the_service_counts_where_the_container_reads_routes(chosen: dict[str, Any], counts: bool) -> None:
    assert service_environment(settings(**chosen)).get("LLM_COUNT_TOKENS") == ("true" if counts else None)


def test_further_instance_types_are_pools_in_their_order(llm: Llm) -> None:
    template = llm(instance_type="ml.g6.2xlarge", fallback_instance_types=["ml.g5.2xlarge", "ml.g6e.2xlarge"])
    (variant,) = only(template, "SageMaker::EndpointConfig")["ProductionVariants"]
    assert "InstanceType" not in variant
    assert [(pool["Priority"], pool["InstanceType"]) for pool in variant["InstancePools"]] == [
        (1, "ml.g6.2xlarge"),
        (2, "ml.g5.2xlarge"),
        (3, "ml.g6e.2xlarge"),
    ]


SMALL = "ml.g4dn.2xlarge"
POOLS: dict[str, Any] = {
    "fallback_instance_types": ["ml.g5.2xlarge", SMALL],
    "fallback_models": {
        SMALL: {
            "model_id": "Qwen/Qwen2.5-7B-Instruct-AWQ",
            "model_revision": "c" * 40,
            "dtype": "float16",
            "quantization": "awq",
            "memory_mb": 1024,
        }
    },
}


def test_a_fallback_type_runs_its_own_model_in_the_component(llm: Llm) -> None:
    template = llm(**POOLS)
    models = resources(template, "SageMaker::Model")
    (own,) = (name for name in models if "mlg4dn2xlarge" in name)
    (shared,) = set(models) - {own}
    served = models[own]["Properties"]["PrimaryContainer"]["Environment"]
    assert (served["SM_VLLM_MODEL"], served["SM_VLLM_REVISION"]) == ("Qwen/Qwen2.5-7B-Instruct-AWQ", "c" * 40)
    assert (served["SM_VLLM_DTYPE"], served["SM_VLLM_MAX_MODEL_LEN"]) == ("float16", "8192")
    component = only(template, "SageMaker::InferenceComponent")
    assert "Specification" not in component
    needs = "ComputeResourceRequirements"
    assert [
        (each["InstanceType"], each["ModelName"]["Fn::GetAtt"][0], each[needs]["MinMemoryRequiredInMb"])
        for each in component["Specifications"]
    ] == [("ml.g6.2xlarge", shared, 4096), ("ml.g5.2xlarge", shared, 4096), (SMALL, own, 1024)]
    (variant,) = only(template, "SageMaker::EndpointConfig")["ProductionVariants"]
    assert not [pool for pool in variant["InstancePools"] if "ModelNameOverride" in pool]


def test_a_fallback_type_of_a_real_time_endpoint_overrides_the_model(llm: Llm) -> None:
    template = llm(mode="real-time", **POOLS)
    (own,) = (name for name in resources(template, "SageMaker::Model") if "mlg4dn2xlarge" in name)
    (variant,) = only(template, "SageMaker::EndpointConfig")["ProductionVariants"]
    assert {pool["InstanceType"]: pool.get("ModelNameOverride") for pool in variant["InstancePools"]} == {
        "ml.g6.2xlarge": None,
        "ml.g5.2xlarge": None,
        SMALL: {"Fn::GetAtt": [own, "ModelName"]},
    }


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"fallback_models": POOLS["fallback_models"]},
            "which fallback_instance_types does not",
        ),
        ({**POOLS, "weights": "s3"}, "stages one model"),
        ({"ssm_access": True, "weights": "s3"}, "no session can be started"),
        ({**POOLS, "fallback_models": {SMALL: {"model_id": "a/b", "model_revision": "main"}}}, "model_revision"),
    ],
)
def test_pools_and_sessions_that_cannot_work_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(**changed)


@pytest.mark.parametrize("mode", ["inference-component", "real-time"])
def test_sessions_and_their_rights_are_there_only_when_asked_for(llm: Llm, mode: str) -> None:
    usual, open_to_sessions = llm(mode=mode), llm(mode=mode, ssm_access=True)
    (variant,) = only(usual, "SageMaker::EndpointConfig")["ProductionVariants"]
    assert "EnableSSMAccess" not in variant and "OpenSessions" not in statements(usual)
    (variant,) = only(open_to_sessions, "SageMaker::EndpointConfig")["ProductionVariants"]
    assert variant["EnableSSMAccess"] is True
    assert statements(open_to_sessions)["OpenSessions"]["Action"] == [
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ]


def test_the_search_through_the_pools_is_bounded(llm: Llm) -> None:
    def variant(**changed: Any) -> Template:
        (found,) = only(llm(**changed), "SageMaker::EndpointConfig")["ProductionVariants"]
        return dict(found)

    bound = "VariantInstanceProvisionTimeoutInSeconds"
    pools = {"fallback_instance_types": ["ml.g5.2xlarge"]}
    assert variant(**pools)[bound] == 1800
    # SageMaker takes no less than five minutes.
    assert variant(**pools, startup_timeout_seconds=60)[bound] == 300
    assert bound not in variant()


def test_the_time_to_start_is_the_components_own_and_changes_no_instance(llm: Llm) -> None:
    old, new = llm(), llm(startup_timeout_seconds=900)
    assert by_type(new, changes(old, new)) == {"SageMaker::InferenceComponent": "update"}
    (variant,) = only(llm(mode="real-time"), "SageMaker::EndpointConfig")["ProductionVariants"]
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 1800
    assert variant["ModelDataDownloadTimeoutInSeconds"] == 1800


@pytest.mark.parametrize("wanted", [True, False])
def test_detailed_observability_is_said_and_not_left_to_sagemakers_default(llm: Llm, wanted: bool) -> None:
    config = only(llm(detailed_observability=wanted), "SageMaker::EndpointConfig")
    assert config["MetricsConfig"] == {"EnableDetailedObservability": wanted}


@pytest.mark.parametrize("mode", ["inference-component", "real-time"])
def test_the_role_finds_the_streams_of_its_own_log_groups(llm: Llm, mode: str) -> None:
    template = llm(mode=mode)
    found, writes = statements(template)["FindOwnLogs"], statements(template)["WriteOwnLogs"]
    assert found["Action"] == "logs:DescribeLogStreams"
    assert found["Resource"] == writes["Resource"]


def test_captured_requests_go_encrypted_to_their_own_prefix(llm: Llm) -> None:
    template = llm(data_capture={"bucket": "captures", "percentage": 5, "kms_key_arn": KEY})
    capture = only(template, "SageMaker::EndpointConfig")["DataCaptureConfig"]
    assert capture["DestinationS3Uri"] == "s3://captures/captured/twin-dev-llm"
    assert (capture["InitialSamplingPercentage"], capture["KmsKeyId"], capture["EnableCapture"]) == (5, KEY, True)
    assert capture["CaptureOptions"] == [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
    found = statements(template)
    assert text(found["WriteCaptures"]["Resource"]) == "arn:aws:s3:::captures/captured/twin-dev-llm/*"
    assert found["EncryptCaptures"]["Resource"] == KEY


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"weights": "s3"}, {**MODEL, **CONFIG, **POLICY}),
        # The default releases have different CUDA releases, and so different machine images.
        ({"container": "lmi"}, {**MODEL, **CONFIG, **POLICY}),
        ({"quantization": "fp8"}, MODEL),
        ({"fallback_instance_types": ["ml.g5.2xlarge"]}, CONFIG),
        ({"data_capture": {"bucket": "captures"}}, {**CONFIG, **POLICY}),
        ({"rollback_errors": 9}, {"CloudWatch::Alarm": "update"}),
        ({"bake_seconds": 60}, {"SageMaker::InferenceComponent": "update"}),
    ],
)
def test_a_changed_choice_updates_or_replaces(llm: Llm, changed: dict[str, Any], expected: dict[str, Action]) -> None:
    old, new = llm(), llm(**changed)
    assert set(old["Resources"]) == set(new["Resources"])
    found = changes(old, new)
    assert by_type(new, found) == expected
    for name, action in found.items():
        assert action == "update" or fixed_names(new["Resources"][name]) == set(), name


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {
                "weights": "s3",
                "hub_token_secret_arn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:hub-AbCdEf",
            },
            "asks no hub",
        ),
        ({"mode": "real-time", "initial_copies": 0}, "cannot scale to zero"),
        ({"fallback_instance_types": ["ml.g6.2xlarge"]}, "twice"),
        ({"fallback_instance_types": [f"ml.g5.{size}xlarge" for size in (2, 4, 8, 12, 24)]}, "at most 4"),
        ({"weights_bucket": "Not_A_Bucket"}, "weights_bucket"),
        ({"quantization": "awq_marlin"}, "quantization"),
    ],
)
def test_choices_that_exclude_each_other_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        LlmSettings.model_validate(changed)
