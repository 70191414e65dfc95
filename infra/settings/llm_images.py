"""AWS's containers of the LLM: which image, on which machine image, from which account's registry."""

from __future__ import annotations

import re

IMAGES = {
    # Tags: https://aws.github.io/deep-learning-containers/vllm/changelog/ (v2.3.0: vLLM 0.27, CUDA 13.0). Repository
    # and SageMaker contract: .../vllm/deployment/sagemaker/ and .../vllm/configuration/ of the same site. AWS tests
    # this image as an endpoint with the machine image below: test/vllm/sagemaker of aws/deep-learning-containers.
    "vllm": "{registry}.dkr.ecr.{region}.amazonaws.com/vllm:server-sagemaker-cuda-v2.3",
    # LMI V20 (vLLM 0.15.1, CUDA 12.8): https://docs.djl.ai/docs/serving/serving/docs/lmi/release_notes.html
    "lmi": "{registry}.dkr.ecr.{region}.amazonaws.com/djl-inference:0.36.0-lmi20.0.0-cu128-v1.0",
}
CUDA_OF_VLLM_RELEASE = {1: 12, 2: 13}
"""CUDA's major version in AWS's own vLLM releases, which their tags do not name; the changelog above does."""
AMI_FOR_CUDA = {12: "al2-ami-sagemaker-inference-gpu-3-1", 13: "al2023-ami-sagemaker-inference-gpu-4-1"}
"""Machine image by CUDA's major version in the container, as AWS tests its containers: INFERENCE_AMI_VERSION_CU12 and
_CU13 in test/test_utils/constants.py of aws/deep-learning-containers, read 2026-08-21. On ml.g4dn.xlarge a CUDA 13
container failed with the default machine image and started with the second of these, also on ml.g6.xlarge:
aws-samples/sagemaker-genai-hosting-examples, example "Strands Decider 2B"."""
CUDA_OF_AMI = {
    "al2-ami-sagemaker-inference-gpu-2": 12,
    "al2-ami-sagemaker-inference-gpu-2-1": 12,
    "al2-ami-sagemaker-inference-gpu-3-1": 12,
    "al2023-ami-sagemaker-inference-gpu-4-1": 13,
}
"""CUDA's major version by machine image with GPU drivers:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html"""
COMMON_REGISTRY = "763104351884"
REGISTRIES = {
    **dict.fromkeys(
        (
            "ap-northeast-1",
            "ap-northeast-2",
            "ap-south-1",
            "ap-southeast-1",
            "ap-southeast-2",
            "ca-central-1",
            "eu-central-1",
            "eu-north-1",
            "eu-west-1",
            "eu-west-2",
            "eu-west-3",
            "sa-east-1",
            "us-east-1",
            "us-east-2",
            "us-west-1",
            "us-west-2",
        ),
        COMMON_REGISTRY,
    ),
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-6": "633930458069",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "mx-central-1": "637423239942",
}
"""Account of AWS's containers by region: https://aws.github.io/deep-learning-containers/reference/region_availability/,
read 2026-08-21. The registries of djl-lmi.json and huggingface-vllm.json in aws/sagemaker-python-sdk @ a248126
(2026-08-21, sagemaker-core/src/sagemaker/core/image_uri_config) are the same; `scripts/image_age.py` compares them
with the newest. Other partitions are left out: China's addresses end otherwise, and for GovCloud the page has none."""
FIRST_WITH_ROUTES = (1, 4)
"""AWS's vLLM release from which the container reads `route=<path>` of an invocation's custom attributes: the changelog
above. LMI's containers do not."""
VLLM_TAG = re.compile(r"/vllm:server-sagemaker-cuda(?:-v(?P<major>\d+)(?:\.(?P<minor>\d+))?(?:\.\d+)?)?")
CUDA_IN_TAG = re.compile(r"[:-]cu(?P<cuda>\d{2})\d(?![\d.])|/vllm:server-sagemaker-cuda-v(?P<release>\d+)")


def image_in(image: str, region: str) -> str:
    """An image with its placeholders filled in.

    Raises:
        KeyError: the registry of AWS's containers in `region` is asked for and not known.
    """
    registry = REGISTRIES[region] if "{registry}" in image else ""
    return image.replace("{registry}", registry).replace("{region}", region)


def cuda_of(image: str) -> int | None:
    """CUDA's major version in an image of AWS, by its tag; None when the tag does not tell."""
    found = CUDA_IN_TAG.search(image)
    if found is None:
        return None
    return int(found["cuda"]) if found["cuda"] else CUDA_OF_VLLM_RELEASE.get(int(found["release"]))


def reads_routes(image: str) -> bool:
    """Whether a container reads the route of an invocation, as far as its tag tells.

    A tag without a minor release names the newest of its kind.
    """
    found = VLLM_TAG.search(image)
    if found is None:
        return False
    if found["major"] is None:
        return True
    newest_minor = 99
    return (int(found["major"]), int(found["minor"] or newest_minor)) >= FIRST_WITH_ROUTES
