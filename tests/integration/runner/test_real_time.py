"""A real-time endpoint on a laptop: the stack's template, the runner, a model server, and callers of the runtime."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from botocore.exceptions import ClientError

from infra.settings.deployment import load_settings
from infra.settings.llm import LlmSettings
from infra.stacks.llm import LlmStack
from localcloud.runner.aws import Aws
from localcloud.runner.sagemaker import SageMakerRunner
from localcloud.sagemaker_runtime.app import create_app
from localcloud.sagemaker_runtime.routing import RoutingTable
from tests.asgi_server import serving
from tests.aws import CREDENTIALS
from tests.infra.conftest import _clean_environment
from tests.integration.emulator.conftest import Emulator, running
from tests.integration.sagemaker_runtime.conftest import boto_client

__all__ = ["_clean_environment"]

STACK, ENDPOINT = "twin-local-llm", "twin-local-llm"
QUESTION = json.dumps({"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 8}).encode()


def template(model_id: str) -> str:
    """The LLM stack of the stage `local` in real-time mode, with staged weights."""
    llm = LlmSettings.model_validate(
        {
            "mode": "real-time",
            "weights": "s3",
            "model_id": model_id,
            "environment": {"LLM_ENGINE": "confabulating"},
        }
    )
    settings = load_settings("local").model_copy(update={"llm": llm})
    plain = cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False)
    app = cdk.App(default_stack_synthesizer=plain)
    env = cdk.Environment(account="000000000000", region="us-east-1")
    return json.dumps(assertions.Template.from_stack(LlmStack(app, STACK, settings=settings, env=env)).to_json())


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("emulator"), LOCALCLOUD_CONTAINERS="external") as started:
        yield started


def test_requests_reach_the_model_of_the_endpoint_before_and_after_an_update(
    emulator: Emulator, tmp_path: Path
) -> None:
    table = RoutingTable()
    cloudformation = emulator.client("cloudformation")
    with serving(create_app(table)) as url:
        runner = SageMakerRunner(Aws(emulator.url, url, CREDENTIALS), tmp_path, table)
        client = boto_client(url)

        def settled() -> str:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                runner.tick()
                status = str(cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"])
                if not status.endswith("_IN_PROGRESS"):
                    return status
                time.sleep(0.1)
            return "late"

        def deploy(change: Callable[..., Any], model_id: str) -> str:
            change(StackName=STACK, TemplateBody=template(model_id), Capabilities=["CAPABILITY_IAM"])
            return settled()

        def model() -> str:
            body = client.invoke_endpoint(EndpointName=ENDPOINT, Body=QUESTION, ContentType="application/json")["Body"]
            return str(json.loads(body.read())["model"])

        try:
            assert deploy(cloudformation.create_stack, "maker/one") == "CREATE_COMPLETE"
            # The name that is served, not the folder that it is loaded from.
            assert model() == "maker/one"
            with pytest.raises(ClientError, match="not allowed"):
                client.invoke_endpoint(EndpointName=ENDPOINT, InferenceComponentName="any", Body=QUESTION)
            assert deploy(cloudformation.update_stack, "maker/two") == "UPDATE_COMPLETE"
            assert model() == "maker/two"
        finally:
            runner.stop()
