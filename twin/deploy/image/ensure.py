"""Sees to it that the image of a release is there before the stacks that run it."""

from __future__ import annotations

from infra.names import IMAGE_STACK
from infra.settings.deployment import DeploymentSettings
from twin.account.image import deploy_image_stack
from twin.deploy.image.builds import follow, running_build, start_build
from twin.target.checkout import release
from twin.target.errors import TwinError
from twin.target.image_tag import find_digest
from twin.target.progress import Progress
from twin.target.stage import Stage

PUBLISHED = "published-"
"""Begin of the release's name of an image that the settings name by digest."""


def release_of(settings: DeploymentSettings) -> str:
    """The release that a stage of these settings runs: that of this checkout, or the image that the settings name.

    Raises:
        TwinError: Git does not tell.
    """
    image = settings.rag.image
    return release() if image is None else f"{PUBLISHED}{image.rpartition(':')[2][:12]}"


def has_image(stage: Stage, settings: DeploymentSettings, wanted: str) -> bool:
    """Whether a stage can be deployed with the release `wanted` without a build."""
    return bool(settings.rag.image) or find_digest(stage, settings.rag.image_repository, wanted) is not None


def ensure_image(stage: Stage, settings: DeploymentSettings, wanted: str, progress: Progress) -> None:
    """Build the image of a release in the account unless it is there; a build of it that runs is followed.

    Args:
        stage: on AWS.
        settings: of the stage.
        wanted: release, the image's tag.
        progress: called with each phase.

    Raises:
        TwinError: the build failed, or the image is one that is not built here.
    """
    if has_image(stage, settings, wanted):
        return
    repository = settings.rag.image_repository
    if settings.is_preview:
        raise TwinError(
            f"There is no image {repository}:{wanted}: previews' images are built by their workflow (`twin ci image`)."
        )
    build = running_build(stage, IMAGE_STACK, wanted)
    if build is None:
        deploy_image_stack(stage, repository, progress)
        build = start_build(stage, IMAGE_STACK, wanted)
    else:
        progress(f"image {wanted[:19]} is being built already")
    follow(stage, build, progress)
    if find_digest(stage, repository, wanted) is None:
        raise TwinError(f"The build succeeded, and {repository}:{wanted} is not there. Run the same command again.")
