"""An account that is ready for the stage `dev`: the emulator, and a server for what it does not have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.loaders import Loader, create_loader

from localcloud.ports import free_port
from localcloud.process import answers
from tests.aws import CREDENTIALS, KEYS, SERVER
from tests.integration.twin.recorded import Model, Recorded, serving

ROOT = Path(__file__).resolve().parents[3]
REGION, ACCOUNT = "us-east-1", "000000000000"
# pragma: allowlist nextline secret - commit of the recorded model
MODEL, REVISION = "Qwen/Qwen2.5-7B-Instruct", "a09a35458c702b33eeacc393d103063234e8bc28"
INSTANCE = "ml.g6.2xlarge"
CONFIG = {"num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "hidden_size": 3584}
ENDPOINT_QUOTA = ("sagemaker", "L-ENDPOINT", f"{INSTANCE} for endpoint usage")


@pytest.fixture(scope="module")
def emulator_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, data = free_port(), tmp_path_factory.mktemp("emulator")
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud.emulator", "--port", str(port), "--data", str(data)],
            cwd=ROOT,
            env={**os.environ, **SERVER},
            stdout=log,
            stderr=log,
        )
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while not answers(f"{url}/_ministack/health"):
            assert process.poll() is None, (data / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def aws(emulator_url: str) -> Callable[[str], Any]:
    @cache
    def client(service: str) -> Any:
        return boto3.client(service, endpoint_url=emulator_url, region_name=REGION, **KEYS)

    return client


@pytest.fixture(scope="module")
def _prepared(aws: Callable[[str], Any]) -> None:
    """What the preflight expects in the account."""
    aws("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="27", Type="String")
    ecr = aws("ecr")
    for repository in ("llm-twin/rag", "vllm"):
        ecr.create_repository(repositoryName=repository)
    push(ecr, "llm-twin/rag", "0.1.0", "arm64", "amd64")
    push(ecr, "llm-twin/rag", "intel", "amd64")
    push(ecr, "vllm", "server-sagemaker-cuda-v2.3", "amd64")


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with serving() as server:
        server.models[MODEL] = Model(REVISION, CONFIG, {"BF16": 7_615_616_512})
        for code in ("L-1", "L-2", "L-3"):
            server.quotas.put("sagemaker", code, f"ml.m5.{code} for endpoint usage", 4)
        server.quotas.put(*ENDPOINT_QUOTA, 2)
        server.quotas.put("fargate", "L-3032A538", "Fargate On-Demand vCPU resource count", 6)
        server.quotas.put("vpc", "L-F678F1CE", "VPCs per Region", 5, default=True)
        server.quotas.put("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5, default=True)
        yield server


@pytest.fixture
def environment(emulator_url: str, recorded: Recorded, tmp_path: Path) -> dict[str, str]:
    """The shell of somebody with credentials for that account."""
    return {
        "TWIN_VECTORS__URL": "https://qdrant.internal:6333",
        "AWS_ENDPOINT_URL": emulator_url,
        "AWS_ENDPOINT_URL_SERVICE_QUOTAS": recorded.url,
        "HF_ENDPOINT": recorded.url,
        **CREDENTIALS.variables(),
        "AWS_REGION": REGION,
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }


@pytest.fixture
def shell(_prepared: None, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This process as that shell; further variables are set through it."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # boto3 keeps the credentials of its first client otherwise; the descriptions of services may be read once for all.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(botocore.session, "create_loader", loader)
    return monkeypatch


@cache
def loader(search_path: str | None = None) -> Loader:
    """The reader of botocore's descriptions of services, which takes longer to fill than most tests."""
    return create_loader(search_path)


def push(ecr: Any, repository: str, tag: str, *architectures: str) -> None:
    """An image index without layers."""
    kind = "application/vnd.oci.image.index.v1+json"
    manifests = [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": f"sha256:{number:064x}",
            "size": 1,
            "platform": {"architecture": architecture, "os": "linux"},
        }
        for number, architecture in enumerate(architectures)
    ]
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": manifests, "annotations": {"tag": tag}})
    ecr.put_image(repositoryName=repository, imageTag=tag, imageManifest=manifest, imageManifestMediaType=kind)
