"""Secrets of a stage: kept here before its deployment, put into Secrets Manager with it, and shown without values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twin.configure import secrets
from twin.configure.secrets import fill, states
from twin.target import stage_secrets
from twin.target.errors import TwinError
from twin.target.stage import Stage
from twin.target.stage_secrets import pending, put_pending


@pytest.fixture
def deployed(
    shell: pytest.MonkeyPatch, aws: Callable[[str], Any], tmp_path: Path, request: pytest.FixtureRequest
) -> dict[str, str]:
    """Outputs of a stage with an external Qdrant and no judge outside AWS, over secrets that were never filled."""
    shell.setattr(stage_secrets, "LOCAL", tmp_path / ".local")
    created = {
        output: aws("secretsmanager").create_secret(Name=f"{request.node.name}-{output}", SecretString="-")["ARN"]
        for output in (
            "OpikApiKeySecretArn",
            "QdrantApiKeySecretArn",
            "QdrantWriteKeySecretArn",
            "SlackWebhookSecretArn",
        )
    }
    shell.setattr(secrets, "outputs", lambda _: created)
    return created


def not_deployed(_: Stage) -> dict[str, str]:
    raise TwinError("Stack twin-dev-network is not deployed.")


def value(aws: Callable[[str], Any], arn: str) -> str:
    return str(aws("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])


def test_a_secret_of_a_deployed_stage_is_filled_at_once(deployed: dict[str, str], aws: Callable[[str], Any]) -> None:
    assert "is set" in fill("dev", "opik", "key-of-opik")
    assert value(aws, deployed["OpikApiKeySecretArn"]) == "key-of-opik"
    assert pending("dev") == {}
    found = {each.secret.name: each.state for each in states(Stage("dev", "us-east-1"))}
    assert found == {
        "opik": "filled",
        "qdrant": "never filled",
        "qdrant-write": "never filled",
        "slack": "never filled",
        "judge": "not in this stage",
    }
    with pytest.raises(TwinError, match="has no secret for the API key of the judge"):
        fill("dev", "judge", "key")
    with pytest.raises(TwinError, match="is empty: nothing was changed"):
        fill("dev", "opik", "")


def test_a_secret_set_before_the_deployment_is_put_with_it(
    deployed: dict[str, str], aws: Callable[[str], Any], shell: pytest.MonkeyPatch
) -> None:
    shell.setattr(secrets, "outputs", not_deployed)
    assert "Kept on this machine" in fill("dev", "slack", "https://hooks.internal/1")
    fill("dev", "judge", "key-of-the-judge")
    assert {each.secret.name: each.state for each in states(Stage("dev", "us-east-1"))}["slack"] == (
        "waits for the deployment"
    )
    stage = Stage("dev", "us-east-1")
    assert put_pending(stage, deployed) == ["slack"]
    assert value(aws, deployed["SlackWebhookSecretArn"]) == "https://hooks.internal/1"
    # The stage has no such secret yet.
    assert pending("dev") == {"judge": "key-of-the-judge"}
    assert put_pending(stage, deployed) == []
