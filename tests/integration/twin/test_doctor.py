"""The preflight against an account: sound, then with one thing wrong at a time."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.integration.twin.conftest import ACCOUNT, CONFIG, ENDPOINT_QUOTA, INSTANCE, MODEL, REGION, REVISION, ROOT
from tests.integration.twin.recorded import Model, Recorded
from tests.integration.twin.test_ready import PARKED, TARGET
from tests.program import TWIN
from twin import app as cli
from twin.doctor import quotas, updates
from twin.doctor.account import open_context
from twin.doctor.check import run
from twin.doctor.finding import Finding, Status
from twin.doctor.preflight import AWS, doctor, has_failed

Aws = Callable[[str], Any]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
OTHER_POOL = {"InstanceType": "ml.g5.2xlarge", "CurrentInstanceCount": 4}
SECRET_ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"


LOOKED_AT_BY = {
    "Access to the model": "Model on the hub",
    "Endpoint instance type": "Quota of the endpoint's instance type",
    f"Quota {INSTANCE} for endpoint usage": "Quota of the endpoint's instance type",
    "Leftovers": "Name collisions",
}
"""Checks of findings with a name of their own."""


def findings_of(*names: str, model_dir: Path | None = None) -> dict[str, Finding]:
    """What the settings, the credentials and the checks behind these findings show: all of them takes seconds."""
    context, opened = open_context("dev")
    wanted = {LOOKED_AT_BY.get(name, name) for name in names}
    # `Stacks` finds `Stack twin-dev-llm`.
    checks = [check for check in AWS if any(name.startswith(check.name.rstrip("s")) for name in wanted)]
    return {found.check: found for found in [*opened, *run(checks, replace(context, model_dir=model_dir))]}


def look(name: str) -> Finding:
    return findings_of(name)[name]


def failed(name: str) -> Finding:
    found = look(name)
    assert found.status is Status.FAILED, found
    return found


def failures() -> dict[str, Finding]:
    """Of the whole preflight."""
    return {finding.check: finding for finding in doctor("dev") if finding.status is Status.FAILED}


def test_a_sound_account_has_no_failure(shell: pytest.MonkeyPatch) -> None:
    findings = {finding.check: finding for finding in doctor("dev")}
    assert {name: f.seen for name, f in findings.items() if f.status is Status.FAILED} == {}
    for check in (
        "AWS credentials",
        "AWS account",
        "AWS region",
        "Services in the region",
        "Resource types in the region",
        "Availability zones",
        "CDK bootstrap",
        "Name collisions",
        "Endpoint instance type",
        f"Quota {INSTANCE} for endpoint usage",
        "Quota Fargate vCPU",
        "Quota VPCs",
        "Model on the hub",
        "Access to the model",
        "Model fits the GPU",
        "Image of the RAG service",
        "Image of the LLM container",
        "GPU driver",
    ):
        assert findings[check].status is Status.OK, findings[check]
    assert "CloudFront's own" in findings["Certificate"].seen
    # No budget: allowed, and said.
    assert {name for name, f in findings.items() if f.status is Status.WARNING} == {"Budget"}
    assert all(f.why and f.fix for f in findings.values() if f.status is Status.WARNING)


@pytest.mark.parametrize(
    ("variable", "value", "check", "seen", "fix"),
    [
        ("TWIN_ACCOUNT", "123456789012", "AWS account", ACCOUNT, "123456789012"),
        ("AWS_REGION", "eu-west-1", "AWS region", "eu-west-1", "export AWS_REGION=us-east-1"),
        ("TWIN_VECTORS__URL", "https://qdrant.example.com", "Addresses", "vectors.url is the example", "twin init"),
        (
            "TWIN_MONITORING__OPIK_URL",
            "https://opik.test/api",
            "Addresses",
            "monitoring.opik_url",
            "infra/config/dev.toml",
        ),
        ("TWIN_REGION", "us-mars-1", "Services in the region", "us-mars-1 lacks", "another `region`"),
        (
            "TWIN_REGION",
            "eu-west-3",
            "Resource types in the region",
            "eu-west-3 lacks AWS::SageMaker::InferenceComponent",
            "real-time",
        ),
        ("TWIN_GUARD__EXPIRES_AT", "2026-01-01T18:00:00Z", "End of life", "2026-01-01 18:00 UTC has passed", "later"),
        ("TWIN_NETWORK__AVAILABILITY_ZONES", '["us-east-1y"]', "Availability zones", "us-east-1y", "us-east-1a"),
        ("TWIN_RELEASE", "intel", "Image of the RAG service", "built for amd64", "arm64"),
        (
            "TWIN_LLM__IMAGE",
            f"{ACCOUNT}.dkr.ecr.{{region}}.amazonaws.com/vllm:gone",
            "Image of the LLM container",
            "no ",
            "correct `image`",
        ),
        (
            "TWIN_LLM__IMAGE",
            f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/vllm:any",
            "Image of the LLM container",
            "is in eu-west-1",
            "{region}",
        ),
        (
            "TWIN_LLM__INFERENCE_AMI_VERSION",
            "al2-ami-sagemaker-inference-gpu-3-1",
            "GPU driver",
            "the container has CUDA 13, al2-ami-sagemaker-inference-gpu-3-1 is for CUDA 12",
            "al2023-ami-sagemaker-inference-gpu-4-1",
        ),
        ("TWIN_LLM__MODEL_ID", "Nobody/Nothing", "Model on the hub", "no Nobody/Nothing", "model_id"),
        ("TWIN_LLM__MODEL_REVISION", "0" * 40, "Model on the hub", "no revision 0000", "commits/main"),
        ("TWIN_LLM__MAX_MODEL_LEN", "262144", "Model fits the GPU", "0.3 requests", "shorter `max_model_len`"),
        ("TWIN_LLM__ACCELERATORS", "4", "Model fits the GPU", "takes 4 GPUs", "fewer `accelerators`"),
        ("TWIN_LLM__INSTANCE_TYPE", "ml.p9.huge", "Endpoint instance type", "offers no ml.p9.huge", "instance_type"),
        ("TWIN_LLM__MAX_COPIES", "none", "Settings", "max_copies", "infra/config/dev.toml"),
    ],
)
def test_a_wrong_setting_fails_one_check(
    shell: pytest.MonkeyPatch, variable: str, value: str, check: str, seen: str, fix: str
) -> None:
    # Known for any region, so that settings alone refuse none.
    shell.setenv("TWIN_RAG__EDGE_PREFIX_LIST", "pl-12345678")
    shell.setenv("TWIN_LLM__IMAGE", f"{ACCOUNT}.dkr.ecr.{{region}}.amazonaws.com/vllm:server-sagemaker-cuda-v2.3")
    shell.setenv("TWIN_LLM__INFERENCE_AMI_VERSION", "al2023-ami-sagemaker-inference-gpu-4-1")
    shell.setenv(variable, value)
    found = failed(check)
    assert seen in found.seen
    assert fix in found.fix
    assert found.why


def test_an_image_that_names_no_cuda_release_cannot_be_compared(shell: pytest.MonkeyPatch) -> None:
    shell.setenv("TWIN_LLM__IMAGE", f"{ACCOUNT}.dkr.ecr.{{region}}.amazonaws.com/mine@sha256:{'0' * 64}")
    shell.setenv("TWIN_LLM__INFERENCE_AMI_VERSION", "al2023-ami-sagemaker-inference-gpu-4-1")
    assert look("GPU driver").status is Status.WARNING


def test_a_zone_out_of_cloudfronts_reach_is_a_warning(shell: pytest.MonkeyPatch) -> None:
    shell.setenv("TWIN_NETWORK__AVAILABILITY_ZONES", '["us-east-1a", "us-east-1c"]')
    found = look("Availability zones")
    assert (found.status, found.seen) == (
        Status.WARNING,
        "us-east-1c is use1-az3, which CloudFront's VPC origins cannot reach",
    )
    assert "us-east-1b" in found.fix and "us-east-1c" not in found.fix
    shell.setenv("TWIN_RAG__EDGE", "internal")
    assert look("Availability zones").status is Status.OK


def test_no_quota_for_the_endpoint(shell: pytest.MonkeyPatch, recorded: Recorded) -> None:
    recorded.quotas.put(*ENDPOINT_QUOTA, 0)
    found = failures()
    assert list(found) == [f"Quota {INSTANCE} for endpoint usage"]
    (finding,) = found.values()
    assert "--service-code sagemaker --quota-code L-ENDPOINT --desired-value 2" in finding.fix
    assert "servicequotas/home/services/sagemaker/quotas/L-ENDPOINT" in finding.fix


def test_a_quota_that_others_use_up(shell: pytest.MonkeyPatch, aws: Aws, recorded: Recorded) -> None:
    recorded.quotas.put(*ENDPOINT_QUOTA, 1)
    sagemaker = aws("sagemaker")
    variant = {"VariantName": "v", "InstanceType": INSTANCE, "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName="others", ExecutionRoleArn="arn:aws:iam::000000000000:role/r", ProductionVariants=[variant]
    )
    sagemaker.create_endpoint(EndpointName="others", EndpointConfigName="others")
    try:
        finding = failed(f"Quota {INSTANCE} for endpoint usage")
    finally:
        sagemaker.delete_endpoint(EndpointName="others")
        sagemaker.delete_endpoint_config(EndpointConfigName="others")
    assert finding.seen == "1, in use by others 1, needed 1 to 2"


@pytest.mark.parametrize(
    ("variant", "kind", "count"),
    [
        ({"CurrentInstanceCount": 3}, INSTANCE, 3),
        ({"CurrentInstanceCount": 3}, "ml.g5.2xlarge", 0),
        ({"InstancePools": [{"InstanceType": INSTANCE, "CurrentInstanceCount": 2}, OTHER_POOL]}, None, 2),
        ({"InstancePools": [OTHER_POOL]}, None, 0),
    ],
)
def test_instances_in_pools_count_for_the_quota_of_their_type(
    variant: dict[str, Any], kind: str | None, count: int
) -> None:
    assert quotas._running(variant, kind, INSTANCE) == count


def test_room_to_start_but_not_to_grow_is_a_warning(shell: pytest.MonkeyPatch) -> None:
    shell.setenv("TWIN_LLM__MAX_INSTANCES", "3")
    assert look(f"Quota {INSTANCE} for endpoint usage").status is Status.WARNING


def test_a_further_instance_type_without_quota_is_a_warning(shell: pytest.MonkeyPatch, recorded: Recorded) -> None:
    shell.setenv("TWIN_LLM__FALLBACK_INSTANCE_TYPES", '["ml.g5.2xlarge"]')
    recorded.quotas.put(*ENDPOINT_QUOTA, 1)
    recorded.quotas.put("sagemaker", "L-FURTHER", "ml.g5.2xlarge for endpoint usage", 0)
    context, _ = open_context("dev")
    found = run([quotas.CHECKS[0]], context)
    assert [(each.status, each.seen) for each in found if each.check.startswith("Quota")] == [
        # Another endpoint configuration starts its instance a second time.
        (Status.WARNING, "1, in use by others 0, needed 1 to 2"),
        (Status.WARNING, "0, in use by others 0, needed 0 to 2"),
    ]


def test_a_fallback_type_is_judged_with_the_model_that_runs_there(
    shell: pytest.MonkeyPatch, recorded: Recorded
) -> None:
    small = {"model_id": "Qwen/Small-AWQ", "model_revision": "c" * 40, "quantization": "awq", "memory_mb": 1024}
    shell.setenv("TWIN_LLM__FALLBACK_INSTANCE_TYPES", '["ml.g4dn.xlarge"]')
    names = {"Model fits the GPU", "Host memory for a copy", "Model on the hub", "Instance pools in the region"}

    def look_at(**region: str) -> list[tuple[str, Status, str]]:
        context, _ = open_context("dev")
        assert context.settings is not None
        context = replace(context, settings=context.settings.model_copy(update=region))
        found = run([check for check in AWS if check.name in names], context)
        return [(each.check, each.status, each.seen) for each in found]

    whole = look_at()
    # The model of the settings fills the smaller card, and its copy reserves too much of the smaller machine.
    refused = [each for each, status, _ in whole if status is Status.FAILED]
    assert refused == ["Model fits the GPU", "Host memory for a copy"]
    shell.setenv("TWIN_LLM__FALLBACK_MODELS", json.dumps({"ml.g4dn.xlarge": small}))
    assert ("Model on the hub", Status.FAILED) in [each[:2] for each in look_at()]
    quantized = {**CONFIG, "quantization_config": {"quant_method": "awq"}}
    recorded.models["Qwen/Small-AWQ"] = Model("c" * 40, quantized, {"I32": 700_000_000, "F16": 1_100_000_000})
    found = look_at()
    assert {status for _, status, _ in found} == {Status.OK}
    assert [seen for check, _, seen in found if check == "Model fits the GPU" and seen.startswith("Qwen/Small-AWQ: ")]
    (pools,) = [each for each in look_at(region="eu-south-1") if each[0] == "Instance pools in the region"]
    assert pools[1] is Status.WARNING and "16 regions" in pools[2]


def test_a_parked_stage_is_told_with_its_way_back(shell: pytest.MonkeyPatch, aws: Aws) -> None:
    scaling = aws("application-autoscaling")
    assert look("Parked").seen == "no"
    scaling.register_scalable_target(**TARGET, MinCapacity=0, MaxCapacity=1, SuspendedState=PARKED)
    try:
        found = look("Parked")
    finally:
        scaling.deregister_scalable_target(**TARGET)
    assert (found.status, found.seen) == (Status.OK, "parked: `twin deploy --stage dev` brings it back")


def test_an_endpoint_that_stands_decides_what_it_can_become(shell: pytest.MonkeyPatch, aws: Aws) -> None:
    def seen() -> dict[str, tuple[Status, str]]:
        context, _ = open_context("dev")
        return {each.check: (each.status, each.seen) for each in run(updates.CHECKS, context)}

    assert {status for status, _ in seen().values()} == {Status.SKIPPED}
    client = aws("sagemaker")
    older = {"InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-3-1"}
    variant = {"VariantName": "AllTraffic", "InstanceType": INSTANCE, "InitialInstanceCount": 1, **older}
    client.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "x"})
    client.create_endpoint_config(EndpointConfigName="c", ExecutionRoleArn=ROLE, ProductionVariants=[variant])
    client.create_endpoint(EndpointName="twin-dev-llm", EndpointConfigName="c")
    needed = {"NumberOfAcceleratorDevicesRequired": 1, "MinMemoryRequiredInMb": 1024}
    client.create_inference_component(
        InferenceComponentName="twin-dev-llm-model",
        EndpointName="twin-dev-llm",
        VariantName="AllTraffic",
        Specification={"ModelName": "m", "ComputeResourceRequirements": needed},
        RuntimeConfig={"CopyCount": 1},
    )
    try:
        found = seen()
        shell.setenv("TWIN_LLM__MAX_INSTANCES", "2")
        shell.setenv("TWIN_LLM__MODE", "real-time")
        shell.setenv("TWIN_LLM__CONTAINER", "lmi")
        changed = seen()
    finally:
        client.delete_inference_component(InferenceComponentName="twin-dev-llm-model")
        client.delete_endpoint(EndpointName="twin-dev-llm")
        client.delete_endpoint_config(EndpointConfigName="c")
        client.delete_model(ModelName="m")
    assert found["Mode of the endpoint"] == (Status.OK, "inference-component")
    assert found["Room for an update"] == (Status.WARNING, "1 awake, places for 1")
    status, said = changed["Mode of the endpoint"]
    assert status is Status.FAILED
    assert "is inference-component, the settings say real-time" in said
    assert changed["Room for an update"] == (Status.OK, "1 awake, places for 2")
    status, said = found["Move to another GPU driver"]
    assert status is Status.FAILED
    assert "gpu-3-1 becomes al2023-ami-sagemaker-inference-gpu-4-1 while a copy is awake" in said
    assert changed["Move to another GPU driver"][0] is Status.OK


def test_a_scaled_real_time_endpoint_keeps_its_instance_type(shell: pytest.MonkeyPatch, aws: Aws) -> None:
    def seen() -> Finding:
        context, _ = open_context("dev")
        (found,) = run([check for check in updates.CHECKS if check.name == updates.TYPE], context)
        return found

    shell.setenv("TWIN_LLM__MODE", "real-time")
    assert seen().status is Status.SKIPPED
    client, scaling = aws("sagemaker"), aws("application-autoscaling")
    variant = {"VariantName": "AllTraffic", "ModelName": "m", "InstanceType": INSTANCE, "InitialInstanceCount": 1}
    client.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "x"})
    client.create_endpoint_config(EndpointConfigName="c", ExecutionRoleArn=ROLE, ProductionVariants=[variant])
    client.create_endpoint(EndpointName="twin-dev-llm", EndpointConfigName="c")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/twin-dev-llm/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    try:
        same = seen()
        shell.setenv("TWIN_LLM__FALLBACK_INSTANCE_TYPES", '["ml.g5.2xlarge"]')
        other = seen()
        scaling.deregister_scalable_target(**target)
        free = seen()
    finally:
        client.delete_endpoint(EndpointName="twin-dev-llm")
        client.delete_endpoint_config(EndpointConfigName="c")
        client.delete_model(ModelName="m")
    assert (same.status, free.status) == (Status.OK, Status.OK)
    assert other.status is Status.FAILED
    assert other.seen == f"{INSTANCE}, the settings say {INSTANCE}, ml.g5.2xlarge"
    assert "delete-stack --stack-name twin-dev-llm" in other.fix


def test_a_component_in_transition_cannot_be_updated(shell: pytest.MonkeyPatch, recorded: Recorded) -> None:
    shell.setenv("AWS_ENDPOINT_URL_SAGEMAKER", recorded.url)
    runtime = {"CurrentCopyCount": 1, "DesiredCopyCount": 2}
    component = {"InferenceComponentStatus": "Updating", "RuntimeConfig": runtime}
    recorded.operations["DescribeInferenceComponent"] = component
    context, _ = open_context("dev")
    (found,) = run([check for check in updates.CHECKS if check.name == updates.ROOM], context)
    assert (found.status, found.seen) == (Status.FAILED, "twin-dev-llm-model is Updating")


def test_nat_gateways_need_addresses(shell: pytest.MonkeyPatch, recorded: Recorded, aws: Aws) -> None:
    shell.setenv("TWIN_NETWORK__LAYOUT", "private")
    shell.setenv("TWIN_NETWORK__NAT_GATEWAYS", "2")
    assert look("Quota Elastic IP addresses").status is Status.OK
    recorded.quotas.put("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 2)
    address = aws("ec2").allocate_address(Domain="vpc")["AllocationId"]
    try:
        found = look("Quota Elastic IP addresses")
    finally:
        aws("ec2").release_address(AllocationId=address)
    assert (found.status, found.seen) == (Status.FAILED, "2, in use by others 1, needed 2")


class TestGatedModel:
    """A gated model is only as good as the endpoint's token."""

    @pytest.fixture(autouse=True)
    def gated(self, shell: pytest.MonkeyPatch, recorded: Recorded) -> None:
        recorded.models[MODEL] = replace(recorded.models[MODEL], gated="manual", readers=("hf_accepted",))

    @pytest.fixture
    def secret(self, aws: Aws, shell: pytest.MonkeyPatch) -> Any:
        client = aws("secretsmanager")
        arn = client.create_secret(Name="hub-token", SecretString="hf_accepted\n")["ARN"]
        shell.setenv("TWIN_LLM__HUB_TOKEN_SECRET_ARN", arn)
        yield lambda value: client.put_secret_value(SecretId=arn, SecretString=value)
        client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)

    def test_without_a_token(self) -> None:
        finding = failed("Access to the model")
        assert "the endpoint has no token" in finding.seen
        assert "hub_token_secret_arn" in finding.fix

    def test_with_a_token_that_was_accepted(self, secret: Any, recorded: Recorded) -> None:
        assert failures() == {}
        assert (f"/{MODEL}/resolve/{REVISION}/config.json", "Bearer hf_accepted") in recorded.seen

    def test_with_a_token_that_was_not(self, secret: Any) -> None:
        secret("hf_stranger")
        assert "403" in failed("Access to the model").seen

    def test_without_credentials_nobody_can_say(self, shell: pytest.MonkeyPatch) -> None:
        shell.setenv("TWIN_LLM__HUB_TOKEN_SECRET_ARN", f"{SECRET_ARN}hub-token-abc")
        shell.delenv("AWS_ACCESS_KEY_ID")
        shell.delenv("AWS_SECRET_ACCESS_KEY")
        assert look("Access to the model").status is Status.SKIPPED

    def test_a_token_never_travels_in_the_clear(self, secret: Any, shell: pytest.MonkeyPatch) -> None:
        shell.setenv("HF_ENDPOINT", "http://hub.example.com")
        found = findings_of("Model on the hub", "Model fits the GPU")
        assert "https only" in found["Model on the hub"].seen
        assert "https only" in found["Model fits the GPU"].seen


def test_a_model_from_a_directory_needs_no_hub(shell: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shell.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    header = json.dumps({"w": {"dtype": "BF16", "shape": [70_000_000_000], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    found = findings_of("Model on the hub", "Model fits the GPU", model_dir=tmp_path)
    assert found["Model on the hub"].status is Status.WARNING
    assert found["Model fits the GPU"].status is Status.FAILED
    assert "weights 140.0 of" in found["Model fits the GPU"].seen


def test_an_account_without_bootstrap(shell: pytest.MonkeyPatch, aws: Aws) -> None:
    name, ssm = "/cdk-bootstrap/hnb659fds/version", aws("ssm")
    try:
        ssm.put_parameter(Name=name, Value="5", Type="String", Overwrite=True)
        assert look("CDK bootstrap").seen == "version 5"
        ssm.delete_parameter(Name=name)
        finding = look("CDK bootstrap")
        assert finding.status is Status.WARNING and "twin deploy --stage dev" in finding.fix
    finally:
        ssm.put_parameter(Name=name, Value="27", Type="String", Overwrite=True)
    assert "twin account bootstrap --stage dev" in finding.fix


def test_the_bootstrap_is_looked_for_under_the_settings_qualifier(shell: pytest.MonkeyPatch, aws: Aws) -> None:
    shell.setenv("TWIN_DELIVERY__QUALIFIER", "other1")
    assert look("CDK bootstrap").seen.startswith("none in ")
    name, ssm = "/cdk-bootstrap/other1/version", aws("ssm")
    ssm.put_parameter(Name=name, Value="27", Type="String")
    try:
        assert look("CDK bootstrap").status is Status.OK
    finally:
        ssm.delete_parameter(Name=name)


def test_a_leftover_collides_until_a_stack_owns_it(shell: pytest.MonkeyPatch, aws: Aws) -> None:
    group, logs, cloudformation = "/aws/sagemaker/Endpoints/twin-dev-llm", aws("logs"), aws("cloudformation")
    logs.create_log_group(logGroupName=group)
    logs.create_log_group(logGroupName="/aws/lambda/twin-dev-evaluation-Old1")
    try:
        found = findings_of("Name collisions")
        assert found["Name collisions"].status is Status.FAILED
        assert group in found["Name collisions"].seen
        assert found["Leftovers"].status is Status.WARNING
        assert "twin-dev-evaluation-Old1" in found["Leftovers"].seen
    finally:
        logs.delete_log_group(logGroupName=group)
        logs.delete_log_group(logGroupName="/aws/lambda/twin-dev-evaluation-Old1")
    resource = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": group}}
    cloudformation.create_stack(StackName="twin-dev-llm", TemplateBody=json.dumps({"Resources": {"Logs": resource}}))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="twin-dev-llm", WaiterConfig={"Delay": 1})
    try:
        assert look("Name collisions").status is Status.OK
        assert look("Stack twin-dev-llm").seen == "CREATE_COMPLETE"
    finally:
        cloudformation.delete_stack(StackName="twin-dev-llm")
        cloudformation.get_waiter("stack_delete_complete").wait(StackName="twin-dev-llm", WaiterConfig={"Delay": 1})


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        ("UPDATE_ROLLBACK_FAILED", Status.FAILED, "delete-inference-pipeline-deployment STAGE=dev"),
        ("UPDATE_IN_PROGRESS", Status.FAILED, "wait"),
        ("ROLLBACK_COMPLETE", Status.OK, ""),
        ("UPDATE_COMPLETE", Status.OK, ""),
    ],
)
def test_a_stack_that_takes_no_update(
    shell: pytest.MonkeyPatch, recorded: Recorded, state: str, status: Status, words: str
) -> None:
    fields = (
        f"<StackName>s</StackName><CreationTime>2030-01-01T00:00:00Z</CreationTime><StackStatus>{state}</StackStatus>"
    )
    recorded.queries["DescribeStacks"] = (200, listed("DescribeStacks", "Stacks", fields))
    shell.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", recorded.url)
    found = look("Stack twin-dev-guard")
    assert found.status is status
    assert words in found.fix


def test_the_certificate_must_be_for_the_domain(shell: pytest.MonkeyPatch, aws: Aws) -> None:
    arn = aws("acm").request_certificate(DomainName="*.example.com", ValidationMethod="DNS")["CertificateArn"]
    shell.setenv("TWIN_RAG__CERTIFICATE_ARN", arn)
    shell.setenv("TWIN_RAG__DOMAIN_NAME", "twin.example.com")
    assert look("Certificate").seen == "issued for twin.example.com"
    shell.setenv("TWIN_RAG__DOMAIN_NAME", "twin.example.org")
    assert "not twin.example.org" in failed("Certificate").seen
    shell.setenv("TWIN_RAG__EDGE", "load_balancer")
    shell.setenv("TWIN_RAG__CERTIFICATE_ARN", arn.replace(REGION, "eu-west-1"))
    assert "is not in us-east-1" in failed("Certificate").seen
    gone = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/11111111-1111-1111-1111-111111111111"
    shell.setenv("TWIN_RAG__CERTIFICATE_ARN", gone)
    assert gone in failed("Certificate").seen


def test_an_address_that_never_confirmed(shell: pytest.MonkeyPatch, recorded: Recorded) -> None:
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:twin-dev-evaluation-Alerts"
    others = [f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}" for name in ("twin-dev-eu-evaluation-Alerts", "twin-dev-photos")]
    member = (
        "<TopicArn>{0}</TopicArn><Protocol>email</Protocol><Endpoint>{1}</Endpoint>"
        "<SubscriptionArn>{2}</SubscriptionArn>"
    )
    pending = member.format(topic, "on-call@example.com", "PendingConfirmation")
    topics = "</member><member>".join(f"<TopicArn>{each}</TopicArn>" for each in (topic, *others))
    recorded.queries["ListTopics"] = (200, listed("ListTopics", "Topics", topics))
    recorded.queries["ListSubscriptionsByTopic"] = (200, listed("ListSubscriptionsByTopic", "Subscriptions", pending))
    shell.setenv("AWS_ENDPOINT_URL_SNS", recorded.url)
    judged = [name for name in findings_of("Alert subscriptions") if name.startswith("Alert subscriptions")]
    assert judged == ["Alert subscriptions of twin-dev-evaluation-Alerts"]
    found = look("Alert subscriptions of twin-dev-evaluation-Alerts")
    assert found.status is Status.WARNING
    assert found.seen == "not confirmed: on-call@example.com"
    confirmed = member.format(topic, "on-call@example.com", f"{topic}:1")
    recorded.queries["ListSubscriptionsByTopic"] = (200, listed("ListSubscriptionsByTopic", "Subscriptions", confirmed))
    assert look("Alert subscriptions of twin-dev-evaluation-Alerts").status is Status.OK


def test_a_budget_counts_when_somebody_hears_of_it(shell: pytest.MonkeyPatch, aws: Aws) -> None:
    budgets = aws("budgets")
    budget = {
        "BudgetName": "month",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "50", "Unit": "USD"},
    }
    budgets.create_budget(AccountId=ACCOUNT, Budget=budget)
    try:
        assert look("Budget").seen == "month: no subscriber"
        notification = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80.0}
        subscriber = {"SubscriptionType": "EMAIL", "Address": "payer@example.com"}
        budgets.create_notification(
            AccountId=ACCOUNT, BudgetName="month", Notification=notification, Subscribers=[subscriber]
        )
        assert look("Budget").status is Status.OK
    finally:
        budgets.delete_budget(AccountId=ACCOUNT, BudgetName="month")


JUDGE_MODEL = "amazon.nova-pro-v1:0"
AVAILABLE = {
    "modelId": JUDGE_MODEL,
    "agreementAvailability": {"status": "AVAILABLE"},
    "authorizationStatus": "AUTHORIZED",
    "entitlementAvailability": "AVAILABLE",
    "regionAvailability": "AVAILABLE",
}


@pytest.mark.parametrize(
    ("model", "changed", "status", "seen"),
    [
        (JUDGE_MODEL, {}, Status.OK, "may be asked in us-east-1"),
        (f"us.{JUDGE_MODEL}", {"regionAvailability": "NOT_AVAILABLE"}, Status.OK, "may be asked"),
        (JUDGE_MODEL, {"regionAvailability": "NOT_AVAILABLE"}, Status.FAILED, "not in this region"),
        (JUDGE_MODEL, {"authorizationStatus": "NOT_AUTHORIZED"}, Status.FAILED, "not authorized"),
        (JUDGE_MODEL, {"agreementAvailability": {"status": "PENDING"}}, Status.FAILED, "agreement PENDING"),
        ("amazon.nothing", {}, Status.FAILED, "us-east-1 knows no amazon.nothing"),
        ("us.amazon.nothing", {}, Status.FAILED, "us-east-1 knows no us.amazon.nothing"),
    ],
)
def test_the_judge_on_bedrock_must_be_open_to_the_account(
    shell: pytest.MonkeyPatch, recorded: Recorded, model: str, changed: dict[str, Any], status: Status, seen: str
) -> None:
    unknown = (404, {"__type": "ResourceNotFoundException", "message": "no such model"})
    recorded.paths["/foundation-model-availability/amazon.nothing"] = unknown
    recorded.paths["/inference-profiles/us.amazon.nothing"] = unknown
    recorded.paths[f"/foundation-model-availability/{JUDGE_MODEL.replace(':', '%3A')}"] = (200, AVAILABLE | changed)
    recorded.paths[f"/inference-profiles/us.{JUDGE_MODEL.replace(':', '%3A')}"] = (200, {"status": "ACTIVE"})
    shell.setenv("AWS_ENDPOINT_URL_BEDROCK", recorded.url)
    shell.setenv("TWIN_JUDGE__PROVIDER", "bedrock")
    shell.setenv("TWIN_JUDGE__MODEL", model)
    found = look("Judge")
    assert found.status is status, found
    assert seen in found.seen
    assert ("model-catalog" in found.fix) is (status is Status.FAILED)


def test_an_endpoint_that_judges_must_stand(shell: pytest.MonkeyPatch) -> None:
    assert look("Judge").seen == "not needed: only the free scores are asked for"
    shell.setenv("TWIN_JUDGE__PROVIDER", "sagemaker")
    assert look("Judge").seen == "the twin's own endpoint, which judging wakes"
    shell.setenv("TWIN_JUDGE__ENDPOINT_NAME", "elsewhere")
    assert "no endpoint elsewhere" in failed("Judge").seen


def test_a_secret_that_nobody_filled_is_named_and_not_read(shell: pytest.MonkeyPatch, aws: Aws) -> None:
    assert look("Secrets").status is Status.SKIPPED
    cloudformation, secrets = aws("cloudformation"), aws("secretsmanager")
    key = {"Description": "API key of the judge", "GenerateSecretString": {"PasswordLength": 40}}
    template = {"Resources": {"Key": {"Type": "AWS::SecretsManager::Secret", "Properties": key}}}
    name = "twin-dev-evaluation"
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    try:
        found = findings_of("Secrets")["Secret: API key of the judge"]
        assert (found.status, found.seen) == (Status.WARNING, "never filled")
        assert found.fix == "`twin secrets set judge --stage dev`"
        (arn,) = [each["ARN"] for each in secrets.list_secrets()["SecretList"] if "judge" in each["Description"]]
        secrets.put_secret_value(SecretId=arn, SecretString="sk-real")
        assert look("Secrets").seen == "1 filled"
    finally:
        cloudformation.delete_stack(StackName=name)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def test_expired_credentials_are_told_and_the_rest_is_still_looked_at(
    shell: pytest.MonkeyPatch, recorded: Recorded
) -> None:
    message = "The security token included in the request is expired"
    error = f"<ErrorResponse><Error><Code>ExpiredToken</Code><Message>{message}</Message></Error></ErrorResponse>"
    recorded.queries["GetCallerIdentity"] = (403, error)
    shell.setenv("AWS_ENDPOINT_URL_STS", recorded.url)
    found = {finding.check: finding for finding in doctor("dev")}
    assert message in found["AWS credentials"].seen
    assert "aws sso login" in found["AWS credentials"].fix
    assert found["Quota Fargate vCPU"].seen == "skipped: no credentials"
    assert found["Model fits the GPU"].status is Status.OK


def test_a_proxy_in_the_way_of_the_hub_is_named(shell: pytest.MonkeyPatch, recorded: Recorded) -> None:
    recorded.models[MODEL] = replace(recorded.models[MODEL], page="<html>Please log in</html>")
    found = findings_of("Model on the hub", "Model fits the GPU")
    for check in ("Model on the hub", "Model fits the GPU"):
        assert found[check].status is Status.WARNING
        assert "is a proxy in the way?" in found[check].seen


def test_a_refused_look_is_a_warning(shell: pytest.MonkeyPatch, recorded: Recorded) -> None:
    refusal = "<ErrorResponse><Error><Code>AuthorizationError</Code><Message>no</Message></Error></ErrorResponse>"
    recorded.queries["ListTopics"] = (403, refusal)
    shell.setenv("AWS_ENDPOINT_URL_SNS", recorded.url)
    found = look("Alert subscriptions")
    assert (found.status, found.fix) == (Status.WARNING, "allow ListTopics to this identity")


@pytest.mark.parametrize(("quota", "code"), [(2, 0), (0, 1)])
def test_the_command(shell: pytest.MonkeyPatch, recorded: Recorded, quota: int, code: int) -> None:
    recorded.quotas.put(*ENDPOINT_QUOTA, quota)
    shell.setenv("COLUMNS", "200")
    table = CliRunner().invoke(cli.app, ["doctor", "--stage", "dev"])
    assert table.exit_code == code
    assert f"{code} failed" in table.stdout
    assert ("request-service-quota-increase" in table.stdout) is bool(code)


def test_the_command_in_a_shell(_prepared: None, environment: dict[str, str], recorded: Recorded) -> None:
    recorded.quotas.put(*ENDPOINT_QUOTA, 0)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TWIN_", "HF_"))}
    command = [TWIN, "doctor", "--stage", "dev", "--json"]
    as_json = subprocess.run(
        command, cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, timeout=200
    )
    assert as_json.returncode == 1
    assert "failed" in {finding["status"] for finding in json.loads(as_json.stdout)}


def test_the_local_stage_needs_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    findings = doctor("local")
    names = {finding.check for finding in findings}
    assert {"Python", "Node", "CDK command line", "Embedding model", "Disk", "Loopback ports", "Local cloud"} <= names
    assert "AWS credentials" not in names
    assert not has_failed(findings), findings


def listed(action: str, field: str, member: str) -> str:
    inner = f"<{field}><member>{member}</member></{field}>"
    return f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"
