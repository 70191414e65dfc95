"""Build of the RAG service's image: once for a stage, tagged with the commit, or for a release, with its version."""

from __future__ import annotations

import base64
import json
import subprocess

from twin.ci.releases import Release
from twin.target.errors import TwinError
from twin.target.github_job import Job
from twin.target.image_tag import find_digest, image_digest
from twin.target.paths import ROOT
from twin.target.stage import Stage

DOCKERFILE = ROOT / "images" / "rag" / "Dockerfile"
REGISTRY = "ghcr.io"
"""Registry of releases: GitHub's own accepts a job's token."""
PLATFORM = "linux/arm64"
"""Platform of the task definition."""


def publish(stage: Stage, repository: str, commit: str) -> Release:
    """Build and push `repository:commit`, unless ECR has it: a commit is built once.

    Raises:
        TwinError: the build, the login or the push failed.
    """
    digest = find_digest(stage, repository, commit)
    if digest is None:
        account = stage.client("sts").get_caller_identity()["Account"]
        registry = f"{account}.dkr.ecr.{stage.region}.amazonaws.com"
        name = f"{registry}/{repository}:{commit}"
        build(name, commit)
        _log_in(stage, registry)
        _docker("push", name)
        digest = image_digest(stage, repository, commit)
    return Release(commit, digest)


def publish_release(job: Job, user: str, version: str, commit: str) -> tuple[str, str]:
    """Build and push the image of a version beside the repository, unless it is there: returns its name and digest.

    Raises:
        TwinError: the build, the login or the push failed.
    """
    name = f"{REGISTRY}/{job.repository.lower()}/rag"
    tagged = f"{name}:{version}"
    _docker("login", "--username", user, "--password-stdin", REGISTRY, given=job.token)
    digest = _pushed(tagged)
    if digest is None:
        build(tagged, commit, version)
        _docker("push", tagged)
        digest = _pushed(tagged)
    if digest is None:
        raise TwinError(f"{tagged} was pushed and is not there.")
    return name, digest


def build(name: str, commit: str, version: str = "unknown") -> None:
    """Build the image of a commit under a name.

    Raises:
        TwinError: Docker is missing, or the build failed.
    """
    arguments = ("--platform", PLATFORM, "--file", str(DOCKERFILE), "--build-arg", f"REVISION={commit}")
    _docker("build", *arguments, "--build-arg", f"VERSION={version}", "--tag", name, str(ROOT))


def _pushed(name: str) -> str | None:
    """Digest of an image in its registry."""
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return str(json.loads(done.stdout)["digest"]) if done.returncode == 0 else None


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
