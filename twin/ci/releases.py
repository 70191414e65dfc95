"""Deployment of a release, the last good release of a stage, and the rollback to it.

A release is a commit: templates, prompts and functions are in it, and the image's tag is its hash. A rollback
deploys that commit again, from a worktree of its own, with the image that was built for it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from infra.names import last_good_parameter
from twin.deploy import local
from twin.deploy.deploy import deploy, target
from twin.inventory.ownership import ALL_STACKS
from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.image_tag import image_digest
from twin.target.paths import LOCAL, ROOT
from twin.target.progress import Progress
from twin.target.stage import Stage, connect

COMMIT = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
WORKTREE = LOCAL / "rollback"
SETTLE_SECONDS = 3600.0
"""Time for what a cancelled deployment began: an endpoint that does not get ready is given up after that."""
SETTLE_POLL = 5.0


@dataclass(frozen=True)
class Release:
    """A commit and the digest of the image that was built from it."""

    commit: str
    digest: str

    def __post_init__(self) -> None:
        """Check both: they become part of a command line.

        Raises:
            TwinError: one is malformed.
        """
        if not COMMIT.fullmatch(self.commit) or not DIGEST.fullmatch(self.digest):
            raise TwinError(f"{self.commit!r} with {self.digest!r} is not a full commit hash with an image digest.")


def deploy_release(stage: str, images: str, release: Release, progress: Progress) -> str:
    """Deploy a release; returns the URL of the API.

    Args:
        stage: name of the stage; `local` is started when it does not run.
        images: repository in ECR with the image of the release.
        release: commit of this checkout, and its image.
        progress: called with each line of progress.

    Raises:
        TwinError: the image is missing or another by now, or the deployment failed.
    """
    require_same_image(connect(stage), images, release)
    # A setting of the stacks; the CDK's process inherits it.
    os.environ["TWIN_RELEASE"] = release.commit
    deployed = local.start(progress) if stage == "local" else deploy(target(stage), progress)
    return deployed.outputs["ApiUrl"]


def store_last_good(stage: Stage, release: Release) -> None:
    """Store `release` as the stage's last good one."""
    value = json.dumps(asdict(release))
    stage.client("ssm").put_parameter(Name=last_good_parameter(stage.name), Value=value, Type="String", Overwrite=True)


def last_good(stage: Stage) -> Release:
    """The release that `store_last_good` stored.

    Raises:
        TwinError: there is none yet, or it is unreadable.
    """
    name = last_good_parameter(stage.name)
    try:
        value = stage.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        raise TwinError(f"Stage {stage.name} has no good release yet: {name} is not set.") from None
    try:
        return Release(**json.loads(value))
    except (ValueError, TypeError):
        raise TwinError(f"{name} holds no release: {value[:200]}") from None


def require_same_image(stage: Stage, repository: str, release: Release) -> None:
    """Refuse to promote any image but the one that was built.

    Raises:
        TwinError: the tag is missing, or names another image by now.
    """
    found = image_digest(stage, repository, release.commit)
    if found != release.digest:
        raise TwinError(f"{repository}:{release.commit} is {found}, but {release.digest} was built and tested.")


def roll_back(stage: Stage, images: str, repository: Path = ROOT) -> Release:
    """Deploy the stage's last good release again, with the set-up of that commit and its image from `images`.

    Raises:
        TwinError: there is none, its image is gone or another by now, its commit is not in this clone, the deployment
            before it does not end, or its deployment failed.
    """
    release = last_good(stage)
    require_same_image(stage, images, release)
    _wait_until_settled(stage)
    _git(repository, "worktree", "prune")
    shutil.rmtree(WORKTREE, ignore_errors=True)
    _git(repository, "worktree", "add", "--force", "--detach", str(WORKTREE), release.commit)
    try:
        env = {**os.environ, **stage.environment, "TWIN_RELEASE": release.commit}
        command = ["make", "-C", str(WORKTREE), "deploy-inference-pipeline", f"STAGE={stage.name}"]
        if subprocess.run(command, env=env, check=False).returncode != 0:
            raise TwinError(f"The rollback of {stage.name} to {release.commit} failed: the stage needs a person now.")
    finally:
        _git(repository, "worktree", "remove", "--force", str(WORKTREE))
    return release


def _wait_until_settled(stage: Stage) -> None:
    """Wait for what CloudFormation still does for a deployment that was cut off: it refuses a second one meanwhile."""
    cloudformation = CloudFormation(stage)
    deadline = stage.clock.deadline(SETTLE_SECONDS)
    while True:
        found = [cloudformation.stack(stage.stack(name)) for name in ALL_STACKS]
        busy = [stack for stack in found if stack is not None and stack.in_progress]
        if not busy:
            return
        if deadline.passed:
            states = ", ".join(f"{stack.name} is {stack.status}" for stack in busy)
            raise TwinError(
                f"The deployment before the rollback does not end: {states}. {stage.name} needs a person now."
            )
        stage.clock.sleep(SETTLE_POLL)


def _git(repository: Path, *arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TwinError(f"`git {' '.join(arguments)}` failed: {done.stderr.strip()}")
