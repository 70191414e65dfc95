"""Image, machine image and registry of the LLM's container belong together."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from infra.settings.deployment import SettingsError, load_settings
from infra.settings.llm import LlmSettings
from infra.settings.llm_images import AMI_FOR_CUDA, CUDA_OF_AMI, IMAGES, REGISTRIES, cuda_of

ACCOUNT = "111122223333.dkr.ecr.{region}.amazonaws.com"
CU12, CU13 = AMI_FOR_CUDA[12], AMI_FOR_CUDA[13]


@pytest.mark.parametrize(
    ("tag", "cuda"),
    [
        ("vllm:server-sagemaker-cuda-v1.3", 12),
        ("vllm:server-sagemaker-cuda-v2.3", 13),
        ("vllm:server-sagemaker-cuda-v2", 13),
        ("vllm:server-sagemaker-cuda-v9.0", None),
        ("vllm:server-sagemaker-cuda", None),
        ("vllm:0.20.0-gpu-py312-cu130-ubuntu22.04-sagemaker", 13),
        ("djl-inference:0.36.0-lmi20.0.0-cu128-v1.0", 12),
        ("djl-inference:0.36.0-lmi28.0.0-cu130", 13),
        ("mine:cu1", None),
        (f"mine@sha256:{'cu12' * 16}", None),
    ],
)
def test_the_tag_says_which_cuda_release_is_in_the_image(tag: str, cuda: int | None) -> None:
    assert cuda_of(f"{ACCOUNT}/{tag}") == cuda


def test_the_machine_image_follows_the_image() -> None:
    assert LlmSettings.model_validate({}).ami_version == CU13
    assert LlmSettings.model_validate({"container": "lmi"}).ami_version == CU12
    older = {"image": f"{ACCOUNT}/vllm:server-sagemaker-cuda-v1.4"}
    assert LlmSettings.model_validate(older).ami_version == CU12
    assert LlmSettings.model_validate({**older, "inference_ami_version": CU13}).ami_version == CU13


def test_an_image_that_does_not_say_needs_the_setting() -> None:
    image = f"{ACCOUNT}/vllm:mine"
    with pytest.raises(ValidationError, match=f"inference_ami_version is needed.*{CU12}.*{CU13}"):
        LlmSettings.model_validate({"image": image})
    assert LlmSettings.model_validate({"image": image, "inference_ami_version": CU12}).ami_version == CU12


def test_every_default_image_has_a_machine_image_with_its_driver() -> None:
    for image in IMAGES.values():
        cuda = cuda_of(image)
        assert cuda is not None and CUDA_OF_AMI[AMI_FOR_CUDA[cuda]] == cuda, image


def test_the_region_decides_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    llm = LlmSettings.model_validate({})
    assert llm.image_in("eu-west-1").startswith("763104351884.dkr.ecr.eu-west-1.")
    assert llm.image_in("eu-south-1").startswith("692866216735.dkr.ecr.eu-south-1.")
    assert all(re.fullmatch(r"\d{12}", account) for account in REGISTRIES.values())
    monkeypatch.setenv("TWIN_RAG__EDGE_PREFIX_LIST", "pl-12345678")
    monkeypatch.setenv("TWIN_REGION", "eu-nowhere-1")
    with pytest.raises(
        SettingsError, match=r"llm\.image: the account of AWS's containers in eu-nowhere-1 is not known"
    ):
        load_settings("dev")
    monkeypatch.setenv("TWIN_LLM__IMAGE", f"{ACCOUNT}/vllm:server-sagemaker-cuda-v2.3")
    assert load_settings("dev").llm.image_in("eu-nowhere-1").startswith("111122223333.dkr.ecr.eu-nowhere-1.")
