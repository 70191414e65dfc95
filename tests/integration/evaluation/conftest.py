"""The Lambdas' surroundings over real sockets: the AWS emulator, the Opik-compatible collector, the webhook sink."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import boto3
import pytest

from services.common.ids import uuid7
from tests.lambda_surroundings import aws as aws
from tests.lambda_surroundings import base_environment as base_environment
from tests.lambda_surroundings import lambda_context as lambda_context
from tests.lambda_surroundings import process
from tests.lambda_surroundings import set_environment as set_environment
from tests.state_rights import enforced, rights
from tests.worker_groups import share_worker

OPIK_API_KEY = "opik-test-key"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    share_worker(items, Path(__file__).parent)


@pytest.fixture(scope="session", autouse=True)
def state_rights(
    base_environment: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[set[tuple[str, str, str]]]:
    """Every function is held to what its role may do with the state table's keys; gives what was done."""
    import aws_cdk as cdk

    from infra.settings.deployment import load_settings
    from infra.stacks.evaluation import EvaluationStack

    app = cdk.App(outdir=str(tmp_path_factory.mktemp("cdk")))
    EvaluationStack(app, "evaluation", settings=load_settings("dev"), env=cdk.Environment(region="us-east-1"))
    template = app.synth().get_stack_by_name("evaluation").template
    with enforced(rights(template)) as seen:
        yield seen


@pytest.fixture(scope="session")
def collector(base_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with process("localcloud.opik", tmp_path_factory.mktemp("opik"), "/api/is-alive/ping") as url:
        yield url + "/api"


@pytest.fixture(scope="session")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with process("localcloud.sink", tmp_path_factory.mktemp("sink"), "/healthz") as url:
        yield url


@pytest.fixture
def secret(aws: str) -> Iterator[Callable[[str], str]]:
    """Creates secrets; gives their ARNs."""
    client = boto3.client("secretsmanager")
    with ExitStack() as stack:

        def create(value: str) -> str:
            arn = str(client.create_secret(Name=f"secret-{os.urandom(6).hex()}", SecretString=value)["ARN"])
            stack.callback(client.delete_secret, SecretId=arn, ForceDeleteWithoutRecovery=True)
            return arn

        yield create


@pytest.fixture
def state_table(aws: str) -> Iterator[str]:
    """A table as infra/constructs/evaluation/state_table.py declares it."""
    client = boto3.client("dynamodb")
    name = f"state-{os.urandom(6).hex()}"
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
def opik_settings(collector: str, secret: Callable[[str], str], state_table: str) -> dict[str, str]:
    """Environment of every function of the pipeline, with an unused dataset name."""
    return {
        "STAGE": "t",
        "DATASET_NAME": f"Monitoring-{uuid7()}",
        "OPIK_URL_OVERRIDE": collector,
        "OPIK_WORKSPACE": "default",
        "OPIK_PROJECT_NAME": "llm-twin",
        "OPIK_API_KEY_SECRET_ARN": secret(OPIK_API_KEY),
        "STATE_TABLE_NAME": state_table,
    }


@pytest.fixture
def watermark(aws: str) -> Iterator[str]:
    client = boto3.client("ssm")
    name = f"/twin/test/watermark-{uuid7()}"
    client.put_parameter(Name=name, Value="none", Type="String")
    yield name
    client.delete_parameter(Name=name)
