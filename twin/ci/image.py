"""Builds the business service's image once; its tag is the commit."""

from __future__ import annotations

import base64
import subprocess

from twin.ci.releases import Release, image_digest
from twin.errors import TwinError
from twin.project import ROOT
from twin.stages import Stage

DOCKERFILE = ROOT / "images" / "rag" / "Dockerfile"
PLATFORM = "linux/arm64"
"""What the task definition runs on."""


def publish(stage: Stage, repository: str, commit: str) -> Release:
    """Build and push `repository:commit`, unless ECR has it: a commit is built once.

    Raises:
        TwinError: the build, the login or the push failed.
    """
    try:
        digest = image_digest(stage, repository, commit)
    except TwinError:
        account = stage.client("sts").get_caller_identity()["Account"]
        registry = f"{account}.dkr.ecr.{stage.region}.amazonaws.com"
        name = f"{registry}/{repository}:{commit}"
        build(name, commit)
        _log_in(stage, registry)
        _docker("push", name)
        digest = image_digest(stage, repository, commit)
    return Release(commit, digest)


def build(name: str, commit: str) -> None:
    """Build the image of a commit under a name.

    Raises:
        TwinError: Docker is missing, or the build failed.
    """
    arguments = ("--platform", PLATFORM, "--file", str(DOCKERFILE), "--build-arg", f"REVISION={commit}")
    _docker("build", *arguments, "--tag", name, str(ROOT))


def _log_in(stage: Stage, registry: str) -> None:
    token = stage.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    _docker("login", "--username", user, "--password-stdin", registry, given=password)


def _docker(*arguments: str, given: str | None = None) -> None:
    try:
        done = subprocess.run(["docker", *arguments], input=given, text=True, check=False)
    except FileNotFoundError:
        raise TwinError("Docker is not installed: the image cannot be built here.") from None
    if done.returncode != 0:
        raise TwinError(f"`docker {arguments[0]}` failed with exit code {done.returncode}.")
