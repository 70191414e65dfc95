"""Looks images up in the account's registry."""

from __future__ import annotations

from botocore.exceptions import ClientError

from twin.target.errors import TwinError
from twin.target.stage import Stage


def find_digest(stage: Stage, repository: str, tag: str) -> str | None:
    """Digest of an image in ECR, or None when there is no such image or repository."""
    try:
        found = stage.client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ImageNotFoundException", "RepositoryNotFoundException"):
            raise
        return None
    details = found["imageDetails"]
    return str(details[0]["imageDigest"]) if details else None


def image_digest(stage: Stage, repository: str, tag: str) -> str:
    """Digest of an image in ECR.

    Raises:
        TwinError: there is no such image.
    """
    found = find_digest(stage, repository, tag)
    if found is None:
        raise TwinError(f"There is no image {repository}:{tag} in ECR.")
    return found


def has_repository(stage: Stage, repository: str) -> bool:
    """Whether the account's registry has the repository."""
    try:
        stage.client("ecr").describe_repositories(repositoryNames=[repository])
    except ClientError as error:
        if error.response["Error"]["Code"] != "RepositoryNotFoundException":
            raise
        return False
    return True
