"""RAG and network stacks: the container, its permissions, and access to it."""

from __future__ import annotations

import json

import pytest

from .conftest import Synthesize, Template, Templates, only, read, resources

DECLARED = {
    *("STAGE", "RELEASE", "PORT", "LLM_ENDPOINT_NAME", "LLM_INFERENCE_COMPONENT_NAME", "LLM_MODEL_ID"),
    *("LLM_TIMEOUT_SECONDS", "LLM_COUNT_TOKENS", "LLM_MAX_OUTPUT_TOKENS", "LLM_TEMPERATURE"),
    *("QDRANT_URL", "EMBEDDING_MODEL_DIR"),
    *("RETRIEVAL_TOP_K", "OPIK_URL_OVERRIDE", "OPIK_WORKSPACE", "OPIK_PROJECT_NAME", "TRACES_PER_SECOND"),
    *(
        "SAMPLES_QUEUE_URL",
        "SAMPLE_RATE",
        "API_KEYS_SECRET_ARN",
        "DRAIN_SECONDS",
        "KEEP_ALIVE_SECONDS",
        "WAKE_HOLD_SILENT_SECONDS",
    ),
    *("QDRANT_API_KEY_SECRET_ARN", "OPIK_API_KEY_SECRET_ARN"),
    *("METRIC_NAMESPACE", "TRACE_CONTENT", "ANONYMISE", "ANONYMISE_PATTERNS"),
    *("TENANT", "RETRIEVAL_CANDIDATES", "QUERY_UNDERSTANDING", "RERANKER"),
}


def container(template: Template) -> Template:
    (found,) = only(template, "ECS::TaskDefinition")["ContainerDefinitions"]
    return dict(found)


def granted(template: Template, role: str) -> dict[str, str]:
    """Action to resource (as text) of one role."""
    (logical,) = (name for name in resources(template, "IAM::Role") if role in name)
    found = {}
    for policy in resources(template, "IAM::Policy").values():
        if policy["Properties"]["Roles"] != [{"Ref": logical}]:
            continue
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            for action in actions if isinstance(actions, list) else [actions]:
                found[action] = json.dumps(statement["Resource"])
    return found


def test_plain_variables_and_secrets_are_those_of_the_contract(dev: Templates) -> None:
    api = container(dev["business"])
    assert {variable["Name"] for variable in api["Environment"]} == DECLARED
    assert {secret["Name"] for secret in api["Secrets"]} == {"QDRANT_API_KEY", "OPIK_API_KEY"}


def test_the_container_is_locked_down(dev: Templates) -> None:
    api = container(dev["business"])
    assert api["ReadonlyRootFilesystem"] is True
    assert api["User"].split(":")[0] not in ("", "0", "root")
    (tmpfs,) = api["LinuxParameters"]["Tmpfs"]
    assert (tmpfs["ContainerPath"], tmpfs["Size"]) == ("/tmp", 64)
    assert api["Command"] == ["python", "-m", "services.rag"]
    task = only(dev["business"], "ECS::TaskDefinition")
    assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
    assert only(dev["business"], "ECS::Service")["DeploymentConfiguration"]["DeploymentCircuitBreaker"] == {
        "Enable": True,
        "Rollback": True,
    }


def test_the_task_role_grants_what_the_environment_references_and_no_more(dev: Templates) -> None:
    template = dev["business"]
    rights = granted(template, "TaskRole")
    variables = {variable["Name"]: variable["Value"] for variable in container(template)["Environment"]}
    assert set(rights) == {
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointWithResponseStream",
        "sqs:SendMessage",
        "sqs:GetQueueAttributes",
        "secretsmanager:GetSecretValue",
    }
    invoke = rights["sagemaker:InvokeEndpointWithResponseStream"]
    assert f":endpoint/{variables['LLM_ENDPOINT_NAME']}" in invoke
    assert f":inference-component/{variables['LLM_INFERENCE_COMPONENT_NAME']}" in invoke
    assert "SamplesQueue" in rights["sqs:SendMessage"]
    secrets = ("API_KEYS_SECRET_ARN", "QDRANT_API_KEY_SECRET_ARN", "OPIK_API_KEY_SECRET_ARN")
    readable = json.loads(rights["secretsmanager:GetSecretValue"])
    assert sorted(map(json.dumps, readable)) == sorted(json.dumps(variables[name]) for name in secrets)


SENTRY = "arn:aws:secretsmanager:us-east-1:111122223333:secret:sentry-abcdef"


@pytest.fixture(scope="module")
def told(synthesize: Synthesize) -> Template:
    """A service with settings that no stage has."""
    variables = {
        "TWIN_RETRIEVAL__TENANT": "acme",
        "TWIN_RETRIEVAL__RERANKER": "sagemaker",
        "TWIN_RETRIEVAL__RERANKER_ENDPOINT_NAME": "cross-encoder",
        "TWIN_MONITORING__SENTRY_DSN_SECRET_ARN": SENTRY,
    }
    return read(synthesize("dev", variables), "dev")["business"]


def test_a_reranker_of_its_own_gets_its_setting_and_its_right(told: Template) -> None:
    declared = {variable["Name"]: variable["Value"] for variable in container(told)["Environment"]}
    assert (declared["TENANT"], declared["RERANKER"]) == ("acme", "sagemaker")
    assert declared["RERANKER_ENDPOINT_NAME"] == "cross-encoder"
    statements = [
        statement
        for policy in resources(told, "IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement.get("Sid") == "AskTheReranker"
    ]
    assert [statement["Action"] for statement in statements] == ["sagemaker:InvokeEndpoint"]
    assert ":endpoint/cross-encoder" in json.dumps(statements[0]["Resource"])


def test_the_execution_role_reads_exactly_the_secrets_of_the_task(dev: Templates) -> None:
    template = dev["business"]
    readable = granted(template, "ExecutionRole")["secretsmanager:GetSecretValue"]
    for secret in container(template)["Secrets"]:
        assert json.dumps(secret["ValueFrom"]) in readable
    (api_keys,) = (name for name in resources(template, "SecretsManager::Secret") if "ApiKeys" in name)
    assert api_keys not in readable


def test_tasks_carry_the_tags_by_which_a_budget_counts(dev: Templates) -> None:
    service = only(dev["business"], "ECS::Service")
    assert (service["PropagateTags"], service["EnableECSManagedTags"]) == ("SERVICE", True)
    assert {"Key": "stage", "Value": "dev"} in service["Tags"]


def test_traffic_goes_to_healthy_tasks_on_their_port(dev: Templates) -> None:
    group = only(dev["business"], "ElasticLoadBalancingV2::TargetGroup")
    assert (group["TargetType"], group["HealthCheckPath"], group["Port"]) == ("ip", "/healthz", 8000)
    (mapping,) = container(dev["business"])["PortMappings"]
    assert (
        mapping["ContainerPort"] == only(dev["business"], "ECS::Service")["LoadBalancers"][0]["ContainerPort"] == 8000
    )


def test_prod_is_private_and_dev_pays_no_nat(templates: dict[str, Templates]) -> None:
    assert not resources(templates["dev"]["network"], "EC2::NatGateway")
    network = templates["prod"]["network"]
    assert resources(network, "EC2::NatGateway")
    assert len(resources(network, "EC2::VPCEndpoint")) == 7
    placed = only(templates["prod"]["business"], "ECS::Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert placed["AssignPublicIp"] == "DISABLED"


def test_the_task_reads_the_bucket_with_the_documents_and_no_other(synthesize: Synthesize) -> None:
    found = read(synthesize("dev", {"TWIN_RAG__DOCUMENTS_BUCKET": "our-documents"}), "dev")
    assert "s3:GetObject" not in granted(found["business"], "ApiTaskTaskRole")
    rights = granted(found["business"], "IngestTaskTaskRole")
    assert ':s3:::our-documents"' in rights["s3:ListBucket"]
    assert ':s3:::our-documents/*"' in rights["s3:GetObject"]


def test_a_sentry_address_is_a_secret(told: Template) -> None:
    secrets = {found["Name"]: found["ValueFrom"] for found in container(told)["Secrets"]}
    assert secrets["SENTRY_DSN"] == SENTRY
