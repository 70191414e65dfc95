"""Checks that ECR has the container images where the stacks look for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from infra.settings.llm_images import AMI_FOR_CUDA, CUDA_OF_AMI, cuda_of
from twin.doctor.check import Check, Need
from twin.doctor.context import Context
from twin.doctor.finding import UNCHECKED, Finding, failed, ok, warning
from twin.target.checkout import release
from twin.target.errors import TwinError

IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+)|@(?P<digest>sha256:[0-9a-f]{64}))"
)
MANIFESTS = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]
TASK_ARCHITECTURE = "arm64"
SERVICE_IMAGE, LLM_IMAGE, DRIVER = "Image of the RAG service", "Image of the LLM container", "GPU driver"


def _service_image(context: Context) -> Iterator[Finding]:
    settings = context.known
    if settings.rag.image is not None:
        yield ok(SERVICE_IMAGE, f"published: {settings.rag.image}")
        return
    try:
        repository, tag = settings.rag.image_repository, release()
    except TwinError as error:
        yield failed(SERVICE_IMAGE, str(error), "an image has no name without it", "correct it, or set TWIN_RELEASE")
        return
    name = f"{repository}:{tag}"
    push = f"build the image for {TASK_ARCHITECTURE} and push it as {name} into {context.stage.region}"
    try:
        manifest = _manifest(context, {"repositoryName": repository}, {"imageTag": tag})
    except ClientError as error:
        if error.response["Error"]["Code"] != "RepositoryNotFoundException":
            raise
        manifest = None
    if manifest is None:
        if settings.is_preview:
            yield failed(SERVICE_IMAGE, f"no {name}", "no task can start: CannotPullContainerError", push)
        else:
            yield ok(SERVICE_IMAGE, f"no {name} yet: `twin deploy` builds it in the account")
        return
    architectures = _architectures(manifest)
    if architectures and TASK_ARCHITECTURE not in architectures:
        why = f"tasks run on {TASK_ARCHITECTURE}: the program would end with `exec format error`"
        yield failed(SERVICE_IMAGE, f"{name} is built for {', '.join(architectures)}", why, push)
        return
    yield ok(SERVICE_IMAGE, name)


def _llm_image(context: Context) -> Iterator[Finding]:
    """Check the LLM's image by the call that pulling makes: other accounts' repositories allow little else."""
    image = context.known.llm.image_in(context.stage.region)
    parts = IMAGE.fullmatch(image)
    assert parts is not None  # noqa: S101 - the setting's own pattern is stricter
    if parts["region"] != context.stage.region:
        why = f"SageMaker pulls only from ECR of the same region, {context.stage.region}"
        yield failed(LLM_IMAGE, f"{image} is in {parts['region']}", why, "write `{region}` in `image` of [llm]")
        return
    wanted = {"imageTag": parts["tag"]} if parts["tag"] else {"imageDigest": parts["digest"]}
    fix = "correct `image` in [llm]: https://aws.github.io/deep-learning-containers/vllm/ lists tags and accounts"
    try:
        repository = {"registryId": parts["account"], "repositoryName": parts["repository"]}
        manifest = _manifest(context, repository, wanted)
    except ClientError as error:
        if error.response["Error"]["Code"] != "RepositoryNotFoundException":
            raise
        yield failed(LLM_IMAGE, f"no repository for {image}", "SageMaker refuses the model", fix)
        return
    if manifest is None:
        yield failed(LLM_IMAGE, f"no {image}", "SageMaker refuses the model", fix)
    else:
        yield ok(LLM_IMAGE, image)


def _driver(context: Context) -> Iterator[Finding]:
    """Check that the machine image has the driver for the CUDA release in the container.

    A wrong pair leaves the endpoint in `Creating` without a line of log, either way round:
    https://github.com/aws/deep-learning-containers/pull/6187, https://github.com/aws/sagemaker-python-sdk/pull/6281.
    """
    llm = context.known.llm
    machine, cuda = llm.ami_version, cuda_of(llm.container_image)
    offered, fitting = CUDA_OF_AMI.get(machine), AMI_FOR_CUDA.get(cuda or 0)
    if fitting is None or offered is None:
        unknown = machine if offered is None else llm.container_image
        fix = (
            "compare both by hand: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html"
        )
        yield warning(DRIVER, f"the CUDA release of {unknown} is not known here", UNCHECKED, fix)
    elif offered != cuda:
        seen = f"the container has CUDA {cuda}, {machine} is for CUDA {offered}"
        why = "the container cannot start, writes no log, and the stack rolls back after its start-up timeout"
        yield failed(DRIVER, seen, why, f"remove `inference_ami_version` from [llm], or set it to {fitting}")
    else:
        yield ok(DRIVER, f"{machine} for CUDA {cuda}")


def _manifest(context: Context, repository: dict[str, str], image: dict[str, str]) -> dict[str, Any] | None:
    client = context.stage.client("ecr")
    answer = client.batch_get_image(**repository, imageIds=[image], acceptedMediaTypes=MANIFESTS)
    if not answer["images"]:
        return None
    manifest = json.loads(answer["images"][0]["imageManifest"])
    return manifest if isinstance(manifest, dict) else {}


def _architectures(manifest: dict[str, Any]) -> list[str]:
    """Architectures that an index lists; a single image keeps its own in a layer that is not fetched for this."""
    platforms = [entry.get("platform") or {} for entry in manifest.get("manifests", ())]
    return sorted({p["architecture"] for p in platforms if p.get("architecture") not in (None, "unknown")})


CHECKS = (
    Check(SERVICE_IMAGE, _service_image),
    Check(LLM_IMAGE, _llm_image),
    Check(DRIVER, _driver, needs=(Need.SETTINGS,)),
)
