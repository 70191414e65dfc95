"""Releases, alarms and expired previews against the emulator; the rollback with real Git and make."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.aws import aws_environment, put_alarm
from tests.integration.emulator.conftest import Emulator
from twin.ci import alarms, releases
from twin.ci.releases import Release
from twin.ci.teardown import expired_previews
from twin.deploy.deploy import Deployed
from twin.target.cloudformation import Stack
from twin.target.errors import TwinError
from twin.target.stage import Stage

DIGEST = f"sha256:{'a' * 64}"
# pragma: allowlist nextline secret - made-up commit
COMMIT = "0123456789abcdef0123456789abcdef01234567"
IMAGES = "llm-twin/rag"


@pytest.fixture
def prod(cloud: Emulator, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage on AWS, whose endpoint is the emulator."""
    environment = aws_environment(cloud.url)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Stage("prod", "us-east-1", environment)


@pytest.fixture
def built(cloud: Emulator) -> Iterator[Callable[[str], Release]]:
    """Puts an image for a commit into the registry."""
    ecr = cloud.client("ecr")
    ecr.create_repository(repositoryName=IMAGES)

    def put(commit: str) -> Release:
        manifest = json.dumps({"schemaVersion": 2, "layers": [], "annotations": {"commit": commit}})
        image = ecr.put_image(repositoryName=IMAGES, imageManifest=manifest, imageTag=commit)["image"]
        return Release(commit, image["imageId"]["imageDigest"])

    yield put
    # The Delivery stack makes the repository, and takes none that is there.
    ecr.delete_repository(repositoryName=IMAGES, force=True)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_way_back_deploys_the_last_good_commit_and_leaves_the_work_tree_alone(
    prod: Stage, built: Callable[[str], Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "WORKTREE", tmp_path / "rollback")
    seen = tmp_path / "seen"
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet")
    (repository / "Makefile").write_text(
        f"deploy-inference-pipeline:\n\t@echo $(STAGE) $(TWIN_RELEASE) $$(cat prompt) > {seen}\n"
    )
    (repository / "prompt").write_text("good")
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "good")
    good = git(repository, "rev-parse", "HEAD")
    (repository / "prompt").write_text("bad")
    git(repository, "commit", "--quiet", "-am", "bad")

    with pytest.raises(TwinError, match="prod has no good release yet"):
        releases.roll_back(prod, IMAGES, repository)
    releases.store_last_good(prod, built(COMMIT))
    with pytest.raises(TwinError, match="git worktree add"):
        releases.roll_back(prod, IMAGES, repository)
    image = built(good)
    releases.store_last_good(prod, Release(good, DIGEST))
    with pytest.raises(TwinError, match="was built and tested"):
        releases.roll_back(prod, IMAGES, repository)
    assert not seen.exists()
    releases.store_last_good(prod, image)
    assert releases.roll_back(prod, IMAGES, repository) == image

    assert seen.read_text().split() == ["prod", good, "good"]
    assert (repository / "prompt").read_text() == "bad"
    assert git(repository, "worktree", "list").count("\n") == 0
    assert not (tmp_path / "rollback").exists()


def test_a_rollback_that_fails_says_that_a_person_is_needed(
    prod: Stage, built: Callable[[str], Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "WORKTREE", tmp_path / "rollback")
    git(tmp_path, "init", "--quiet", "repository")
    repository = tmp_path / "repository"
    (repository / "Makefile").write_text("deploy-inference-pipeline:\n\t@exit 3\n")
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "broken")
    releases.store_last_good(prod, built(git(repository, "rev-parse", "HEAD")))
    with pytest.raises(TwinError, match="needs a person now"):
        releases.roll_back(prod, IMAGES, repository)
    assert not (tmp_path / "rollback").exists()


def test_a_rollback_waits_for_what_a_cancelled_deployment_left_running(
    prod: Stage, built: Callable[[str], Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"]

    class Busy:
        """CloudFormation at work on one stack, in states that nothing holds; test_long_waits.py has a real update."""

        def __init__(self, stage: Stage) -> None:
            self.name = stage.stack("llm")

        def stack(self, name: str) -> Stack | None:
            if name != self.name:
                return None
            return Stack(name, states.pop(0) if len(states) > 1 else states[0])

    monkeypatch.setattr(releases, "CloudFormation", Busy)
    monkeypatch.setattr(releases, "WORKTREE", tmp_path / "rollback")
    git(tmp_path, "init", "--quiet", "repository")
    repository = tmp_path / "repository"
    (repository / "Makefile").write_text("deploy-inference-pipeline:\n\t@true\n")
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "good")
    good = built(git(repository, "rev-parse", "HEAD"))
    releases.store_last_good(prod, good)
    assert releases.roll_back(prod, IMAGES, repository) == good
    assert states == ["UPDATE_ROLLBACK_COMPLETE"]

    states[:] = ["UPDATE_IN_PROGRESS"]
    monkeypatch.setattr(releases, "SETTLE_SECONDS", 0.0)
    with pytest.raises(TwinError, match=r"twin-prod-llm is UPDATE_IN_PROGRESS\. prod needs a person now"):
        releases.roll_back(prod, IMAGES, repository)


@pytest.mark.parametrize(("commit", "digest"), [("main", DIGEST), (COMMIT, "sha256:12"), ("--force", DIGEST)])
def test_only_a_full_hash_with_a_digest_is_a_release(commit: str, digest: str) -> None:
    with pytest.raises(TwinError, match="not a full commit hash"):
        Release(commit, digest)


def test_only_the_image_that_was_built_is_promoted(prod: Stage, built: Callable[[str], Release]) -> None:
    releases.require_same_image(prod, "llm-twin/rag", built(COMMIT))
    with pytest.raises(TwinError, match="was built and tested"):
        releases.require_same_image(prod, "llm-twin/rag", Release(COMMIT, DIGEST))
    with pytest.raises(TwinError, match="There is no image llm-twin/rag:"):
        releases.require_same_image(prod, "llm-twin/rag", Release("f" * 40, DIGEST))


def test_a_release_is_deployed_with_its_commit_after_its_image_was_checked(
    prod: Stage, built: Callable[[str], Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def deploy(stage: Stage, _: Callable[[str], None]) -> Deployed:
        done.append(f"{stage.name} {os.environ['TWIN_RELEASE']}")
        return Deployed(stage, {"ApiUrl": "https://api.example"})

    monkeypatch.setenv("TWIN_RELEASE", "before")
    monkeypatch.setattr(releases, "deploy", deploy)
    image = built(COMMIT)
    with pytest.raises(TwinError, match="was built and tested"):
        releases.deploy_release("prod", IMAGES, Release(COMMIT, DIGEST), print)
    assert done == []
    assert releases.deploy_release("prod", IMAGES, image, print) == "https://api.example"
    assert done == [f"prod {COMMIT}"]


def _alerts(cloud: Emulator) -> str:
    """The topic of a stage's alerts, as its evaluation stack names it."""
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"AlertsTopicArn": {"Value": {"Ref": "Topic"}}},
    }
    cloudformation, name = cloud.client("cloudformation"), "twin-prod-evaluation"
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return str(stack["Outputs"][0]["OutputValue"])


def test_an_alarm_that_starts_to_ring_ends_the_watch_and_an_older_one_does_not(prod: Stage, cloud: Emulator) -> None:
    with pytest.raises(TwinError, match="has no alarm"):
        alarms.watch(prod, 0, 0.1, lambda _: None)
    cloudwatch, topic = cloud.client("cloudwatch"), _alerts(cloud)
    old, new = "twin-prod-evaluation-Old1", "twin-prod-business-New1"
    # Alarms of a stage whose name goes on, of a stranger, and of another stage.
    others = ("twin-prod-eu-evaluation-Old1", "twin-prod-photos-full", "twin-dev-evaluation-Old1")
    for name in (old, new, *others):
        put_alarm(cloudwatch, name, topic)
    # A request that finds no copy rings it, and it wakes the model.
    scaling = "twin-prod-llm-ScalingAsleep1"
    put_alarm(cloudwatch, scaling, "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:wake")

    def ring(name: str) -> None:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")

    for name in (old, *others):
        ring(name)
    assert alarms.ringing(prod) == {old}
    assert alarms.watch(prod, 0.3, 0.1, lambda _: None) == 1
    ring(scaling)
    assert alarms.watch(prod, 0, 0.1, lambda _: None) == 1
    later = threading.Timer(0.5, ring, (new,))
    later.start()
    try:
        with pytest.raises(TwinError, match=rf"since the release: {new}\."):
            alarms.watch(prod, 600, 0.1, lambda _: None)
    finally:
        later.join()


def test_previews_past_their_life_are_found_by_their_youngest_stack(prod: Stage, cloud: Emulator) -> None:
    cloudformation = cloud.client("cloudformation")
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    for name in ("twin-pr-3-network", "twin-pr-12-llm", "twin-dev-llm", "twin-pr-4-llm"):
        cloudformation.create_stack(StackName=name, TemplateBody=template)
    cloudformation.get_waiter("stack_create_complete").wait(StackName="twin-pr-4-llm")
    cloudformation.delete_stack(StackName="twin-pr-4-llm")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="twin-pr-4-llm")
    now = datetime.now(UTC)
    assert expired_previews(prod, now, timedelta(hours=1)) == []
    assert expired_previews(prod, now + timedelta(hours=2), timedelta(hours=1)) == ["pr-12", "pr-3"]
