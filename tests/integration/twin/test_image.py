"""The image of a release: the real CDK deploys the Image stack into an emulator with IAM, whose CodeBuild builds it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.names import IMAGE_STACK
from infra.settings.deployment import DeploymentSettings, load_settings
from localcloud.emulator.services.build_commands import SOURCE_DIGEST
from tests.aws import aws_environment
from tests.integration.emulator.conftest import Emulator, running
from twin.deploy.image import builds
from twin.deploy.image.ensure import ensure_image
from twin.target.bootstrap import bootstrap_account
from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.image_tag import find_digest
from twin.target.stage import Stage

REGION = "us-east-1"
IMAGES = "llm-twin/rag"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A bootstrapped account that enforces IAM."""
    with (
        running(tmp_path_factory.mktemp("aws"), AUTH="true", LOCALCLOUD_TIME_FACTOR="100") as emulator,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in aws_environment(emulator.url).items():
            patch.setenv(name, value)
        bootstrap_account(Stage("dev", REGION))
        yield emulator


@pytest.fixture
def stage(cloud: Emulator) -> Stage:
    return Stage("dev", REGION, aws_environment(cloud.url))


@pytest.fixture
def settings() -> DeploymentSettings:
    return load_settings("dev")


def all_builds(cloud: Emulator) -> list[Any]:
    codebuild = cloud.client("codebuild")
    ids = codebuild.list_builds_for_project(projectName=IMAGE_STACK)["ids"]
    return list(codebuild.batch_get_builds(ids=ids)["builds"]) if ids else []


def test_a_release_is_built_once_and_followed_by_whoever_comes_second(
    stage: Stage, settings: DeploymentSettings, cloud: Emulator
) -> None:
    said: list[str] = []
    ensure_image(stage, settings, "one", said.append)
    digest = find_digest(stage, IMAGES, "one")
    assert digest is not None
    assert [word for word in ("queued", "provisioning", "build,") if not any(word in line for line in said)] == []
    image = cloud.client("ecr").batch_get_image(repositoryName=IMAGES, imageIds=[{"imageTag": "one"}])["images"][0]
    (build,) = all_builds(cloud)
    bucket, _, key = build["source"]["location"].partition("/")
    source = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert json.loads(image["imageManifest"])["annotations"][SOURCE_DIGEST] == hashlib.sha256(source).hexdigest()
    assert [phase["phaseType"] for phase in build["phases"]][-1] == "COMPLETED"
    ensure_image(stage, settings, "one", said.append)
    assert len(all_builds(cloud)) == 1

    first = threading.Thread(target=ensure_image, args=(stage, settings, "two", lambda _: None))
    first.start()
    deadline = time.monotonic() + 60
    while builds.running_build(stage, IMAGE_STACK, "two") is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    said.clear()
    ensure_image(stage, settings, "two", said.append)
    first.join()
    assert "image two is being built already" in said
    assert len(all_builds(cloud)) == 2
    log = cloud.client("logs").get_log_events(
        logGroupName=build["logs"]["groupName"], logStreamName=build["logs"]["streamName"]
    )["events"]
    assert any("COPY services/rag" in event["message"] for event in log)


def test_the_stack_belongs_to_the_account(stage: Stage, settings: DeploymentSettings) -> None:
    stack = CloudFormation(stage).stack(IMAGE_STACK)
    assert stack is not None and stack.protected
    assert stack.outputs == {"RepositoryName": IMAGES, "ProjectName": IMAGE_STACK}


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ("PushTheImage", "POST_BUILD: Error while executing command: docker push"),
        ("WriteOwnLogs", "does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams"),
        ("ReadTheSource", "DOWNLOAD_SOURCE: AccessDenied"),
        ("LogInToTheRegistry", "PRE_BUILD: Error while executing command: aws ecr get-login-password"),
    ],
)
def test_each_right_of_the_role_is_needed(
    taken: str, expected: str, stage: Stage, settings: DeploymentSettings, cloud: Emulator
) -> None:
    iam = cloud.client("iam")
    (role,) = [each["RoleName"] for each in iam.list_roles()["Roles"] if each["RoleName"].startswith("twin-image")]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    less = {**document, "Statement": [each for each in document["Statement"] if each["Sid"] != taken]}
    assert len(less["Statement"]) == len(document["Statement"]) - 1
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(less))
    try:
        with pytest.raises(TwinError, match="The build of the image ended as FAILED") as raised:
            builds.follow(stage, builds.start_build(stage, IMAGE_STACK, f"without-{taken}"), lambda _: None)
        assert expected in str(raised.value)
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    assert find_digest(stage, IMAGES, f"without-{taken}") is None


def test_a_failed_build_shows_the_end_of_its_log_and_the_next_one_builds_again(
    stage: Stage, settings: DeploymentSettings, cloud: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    codebuild = cloud.client("codebuild")
    project = codebuild.batch_get_projects(names=[IMAGE_STACK])["projects"][0]
    source = {**project["source"], "buildspec": project["source"]["buildspec"].replace("rag/Dockerfile", "rag/Nowhere")}
    codebuild.update_project(name=IMAGE_STACK, source=source)
    with pytest.raises(TwinError, match=r"images/rag/Nowhere: no such file or directory"):
        builds.follow(stage, builds.start_build(stage, IMAGE_STACK, "three"), lambda _: None)
    codebuild.update_project(name=IMAGE_STACK, source=project["source"])
    ensure_image(stage, settings, "three", lambda _: None)
    assert find_digest(stage, IMAGES, "three") is not None
