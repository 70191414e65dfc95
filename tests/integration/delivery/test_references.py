"""A resource is replaced under its id, and the stack that reads its address follows, by the real command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.aws import aws_environment
from tests.infra.conftest import ROOT
from tests.integration.emulator.conftest import Emulator
from twin.target import cdk

CDK = ROOT / "node_modules" / ".bin" / "cdk"


def deploy(cloud: Emulator, folder: Path, name: str) -> None:
    """Deploy both stacks with the queue called `name`."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    (folder / "cdk.json").write_text(json.dumps({"context": context}))
    app = f"{sys.executable} -m tests.integration.delivery.references_app"
    options = ("--all", "--require-approval", "never", "--no-notices", "--output", str(folder / "out"))
    environment = {**aws_environment(cloud.url), "PYTHONPATH": str(ROOT), "QUEUE_NAME": name}
    done = subprocess.run(
        [str(CDK), "deploy", "--app", app, *options],
        cwd=folder,
        env={**cdk.environment(environment), "AWS_EC2_METADATA_DISABLED": "true"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def address(cloud: Emulator) -> str:
    """What the reader holds."""
    return str(cloud.client("ssm").get_parameter(Name="/address")["Parameter"]["Value"])


@pytest.mark.timeout(600)
def test_a_reader_follows_what_is_replaced(cloud: Emulator, tmp_path: Path) -> None:
    deploy(cloud, tmp_path, "first")
    assert address(cloud).endswith("/first")
    deploy(cloud, tmp_path, "second")
    assert address(cloud).endswith("/second")
