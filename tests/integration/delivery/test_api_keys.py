"""A new key replaces one of its own, and nobody else's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.aws import aws_environment
from tests.integration.emulator.conftest import Emulator
from twin.target import deployment
from twin.target.stage import Stage


def test_a_fresh_runner_leaves_a_persons_key_alone(
    cloud: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws_environment(cloud.url).items():
        monkeypatch.setenv(name, value)
    stage, secrets = Stage("prod", "us-east-1"), cloud.client("secretsmanager")
    arn = secrets.create_secret(Name="ApiKeys", SecretString='{"keys": []}')["ARN"]

    def key_of(machine: str) -> str:
        monkeypatch.setattr(deployment, "LOCAL", tmp_path / machine)
        return deployment.ensure_api_key(stage, arn)

    monkeypatch.delenv("GITHUB_WORKFLOW", raising=False)
    monkeypatch.setattr(deployment.getpass, "getuser", lambda: "Ada Q")
    mine = key_of("laptop")
    monkeypatch.setenv("GITHUB_WORKFLOW", "Deploy (main)")
    runners = {key_of("runner-1"), key_of("runner-2")}
    assert len({mine, *runners}) == 3
    monkeypatch.delenv("GITHUB_WORKFLOW")
    assert key_of("laptop") == mine
    kept = secrets.get_secret_value(SecretId=arn)["SecretString"]
    assert [entry["name"] for entry in json.loads(kept)["keys"]] == ["ada-q", "github-deploy-main-"]
    assert not any(key in kept for key in (mine, *runners)), "only the hash of a key leaves the machine"
