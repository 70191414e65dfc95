"""CloudFormation's express mode and early validation, as the pinned CDK command line meets them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_logs as logs
from botocore.exceptions import ClientError

from tests.aws import aws_environment
from tests.integration.emulator.conftest import Aws, Emulator, Stacks, eventually
from twin.target.cdk import EXPRESS, environment
from twin.target.paths import ROOT

STACK = "quick"
TAKEN = "/taken/by/another"


def assembly(folder: Path, *groups: str, days: int = 7) -> Path:
    """A synthesized stack of log groups; a name that comes twice fails when the second is made."""
    app = cdk.App(outdir=str(folder))
    stack = cdk.Stack(app, STACK, synthesizer=cdk.BootstraplessSynthesizer())
    for number, name in enumerate(groups):
        logs.CfnLogGroup(stack, f"Group{number}", log_group_name=name, retention_in_days=days)
    app.synth()
    return folder


def run(emulator: Emulator, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line over a synthesized stack."""
    command = [str(ROOT / "node_modules" / ".bin" / "cdk"), *arguments, "--app", str(folder), "--no-notices"]
    env = environment({**aws_environment(emulator.url), "NO_COLOR": "1"})
    return subprocess.run(
        command, cwd=folder.parent, env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def gone(aws: Aws) -> Iterator[None]:
    yield
    aws("cloudformation").delete_stack(StackName=STACK)


def statuses(aws: Aws) -> dict[str, str]:
    found = aws("cloudformation").describe_stacks()["Stacks"]
    return {each["StackName"]: each["StackStatus"] for each in found}


@pytest.mark.usefixtures("gone")
def test_the_command_line_deploys_and_destroys_in_express_mode(
    emulator: Emulator, aws: Aws, stacks: Stacks, tmp_path: Path
) -> None:
    done = run(emulator, assembly(tmp_path / "one", "/quick/one"), "deploy", *EXPRESS, "--require-approval", "never")
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(aws)[STACK] == "CREATE_COMPLETE"
    events = aws("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
    made = [each for each in events if each["LogicalResourceId"] == "Group0"]
    assert "Express Mode" in made[0]["ResourceStatusReason"]
    # A replacement: what express mode refuses unless rollback is on.
    done = run(emulator, assembly(tmp_path / "two", "/quick/two"), "deploy", *EXPRESS, "--require-approval", "never")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(emulator, tmp_path / "two", "destroy", "--express", "--force")
    assert done.returncode == 0, done.stdout + done.stderr
    assert STACK not in statuses(aws)


@pytest.mark.usefixtures("gone")
def test_a_creation_that_fails_is_rolled_back_only_where_that_is_turned_on(
    emulator: Emulator, aws: Aws, tmp_path: Path
) -> None:
    folder = assembly(tmp_path / "bad", "/quick/twice", "/quick/twice")
    done = run(emulator, folder, "deploy", *EXPRESS, "--require-approval", "never")
    assert done.returncode != 0
    assert statuses(aws)[STACK] == "ROLLBACK_COMPLETE"
    assert aws("logs").describe_log_groups(logGroupNamePrefix="/quick/")["logGroups"] == []
    done = run(emulator, folder, "deploy", "--express", "--require-approval", "never")
    assert done.returncode != 0
    assert statuses(aws)[STACK] == "CREATE_FAILED"
    with pytest.raises(ClientError, match="not supported for stacks that were last updated using EXPRESS"):
        aws("cloudformation").rollback_stack(StackName=STACK)
    with pytest.raises(ClientError, match=r"must use the same DeploymentConfig \(mode=EXPRESS\)"):
        aws("cloudformation").update_stack(StackName=STACK, TemplateBody="{}")


def validate(emulator: Emulator, folder: Path) -> subprocess.CompletedProcess[str]:
    return run(emulator, folder, "validate", "--online", "--unstable=validate")


def test_a_name_that_is_taken_is_found_before_anything_is_made(emulator: Emulator, aws: Aws, tmp_path: Path) -> None:
    aws("logs").create_log_group(logGroupName=TAKEN)
    try:
        done = validate(emulator, assembly(tmp_path / "taken", "/quick/free", TAKEN))
        assert done.returncode != 0
        assert f"{TAKEN}\"}}' already exists" in done.stdout + done.stderr
        assert "Group1" in done.stdout + done.stderr and "Group0" not in done.stdout + done.stderr
        deployed = run(emulator, tmp_path / "taken", "deploy", "--require-approval", "never")
        assert deployed.returncode != 0
        assert "Early validation failed" in deployed.stdout + deployed.stderr
        # No event of a resource, and the check leaves nothing behind.
        groups = aws("logs").describe_log_groups(logGroupNamePrefix="/quick/")["logGroups"]
        assert groups == []
    finally:
        aws("logs").delete_log_group(logGroupName=TAKEN)
        aws("cloudformation").delete_stack(StackName=STACK)


def test_a_property_outside_its_schema_is_found_before_anything_is_made(
    emulator: Emulator, aws: Aws, tmp_path: Path
) -> None:
    done = validate(emulator, assembly(tmp_path / "days", "/quick/one", days=8))
    assert done.returncode != 0, done.stdout
    assert "RetentionInDays" in done.stdout + done.stderr
    eventually(lambda: STACK not in statuses(aws), "the validated stack was left behind")


def test_a_template_without_faults_passes_and_leaves_nothing(emulator: Emulator, aws: Aws, tmp_path: Path) -> None:
    done = validate(emulator, assembly(tmp_path / "fine", "/quick/one"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert STACK not in statuses(aws)
    sets: list[Any] = [name for name in statuses(aws) if name.startswith("quick")]
    assert sets == []
