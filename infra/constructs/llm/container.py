"""Environment of the model container, and the data source of its weights."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_sagemaker as sagemaker

from infra.settings.llm import LlmSettings

MODEL_FOLDER = "/opt/ml/model"
"""Folder into which SageMaker puts the files of a model's data source."""
QUANTIZED_AT_START = ("fp8", "bitsandbytes")
"""Quantizations to name to the engine. Others it reads from the model's configuration, and serves faster unnamed:
https://docs.djl.ai/docs/serving/serving/docs/lmi/user_guides/vllm_user_guide.html#quantization-support"""
LMI_DTYPES = {"bfloat16": "bf16", "float16": "fp16"}


def environment(settings: LlmSettings) -> dict[str, str]:
    """Environment of the container; the settings' own variables come last and may replace any."""
    own = _vllm(settings) if settings.container == "vllm" else _lmi(settings)
    found = {**own, **settings.environment}
    if settings.hub_token_secret_arn is not None:
        # A dynamic reference: the template names the secret, CloudFormation reads it at deployment.
        token = cdk.SecretValue.secrets_manager(settings.hub_token_secret_arn)
        found["HF_TOKEN"] = token.unsafe_unwrap()
    return found


def data_source(settings: LlmSettings, bucket: str) -> sagemaker.CfnModel.ModelDataSourceProperty | None:
    """The staged files, uncompressed: SageMaker copies them as they are. None for a model of the hub."""
    if settings.weights == "hub":
        return None
    return sagemaker.CfnModel.ModelDataSourceProperty(
        s3_data_source=sagemaker.CfnModel.S3DataSourceProperty(
            s3_uri=f"s3://{bucket}/{settings.weights_prefix}", s3_data_type="S3Prefix", compression_type="None"
        )
    )


def _vllm(settings: LlmSettings) -> dict[str, str]:
    """vLLM's options as `SM_VLLM_<OPTION>`: https://aws.github.io/deep-learning-containers/vllm/configuration/."""
    if settings.weights == "hub":
        model = {"SM_VLLM_MODEL": settings.model_id, "SM_VLLM_REVISION": settings.model_revision}
    else:
        # Answers name the model; without this they would name the folder.
        model = {"SM_VLLM_MODEL": MODEL_FOLDER}
    # Answers name the model: by default the one that was loaded, which would be the folder.
    named = settings.served_model_name or (settings.weights == "s3" and settings.model_id)
    if named:
        model["SM_VLLM_SERVED_MODEL_NAME"] = named
    quantized = {"SM_VLLM_QUANTIZATION": settings.quantization} if _quantized_at_start(settings) else {}
    return {
        **model,
        **quantized,
        "SM_VLLM_MAX_MODEL_LEN": str(settings.max_model_len),
        "SM_VLLM_DTYPE": settings.dtype,
        # Without it vLLM uses one GPU, however many the copy has.
        "SM_VLLM_TENSOR_PARALLEL_SIZE": str(settings.accelerators),
    }


def _lmi(settings: LlmSettings) -> dict[str, str]:
    """LMI's options as `OPTION_<OPTION>`, which it hands on to vLLM where it does not know them itself.

    Staged weights need no option: LMI finds them in the folder. Sources:
    https://docs.djl.ai/docs/serving/serving/docs/lmi/deployment_guide/configurations.html and
    https://docs.djl.ai/docs/serving/serving/docs/lmi/user_guides/vllm_user_guide.html
    """
    hub = {"HF_MODEL_ID": settings.model_id, "OPTION_REVISION": settings.model_revision}
    quantized = {"OPTION_QUANTIZE": settings.quantization} if _quantized_at_start(settings) else {}
    dtype = {"OPTION_DTYPE": LMI_DTYPES[settings.dtype]} if settings.dtype in LMI_DTYPES else {}
    return {
        **(hub if settings.weights == "hub" else {}),
        "OPTION_SERVED_MODEL_NAME": settings.served_name,
        **quantized,
        **dtype,
        # Ends the container when the model does not load; otherwise it stays until its start-up time is over. AWS's
        # samples set it: aws-samples/sagemaker-genai-hosting-examples, ic_rolling_deployment.ipynb.
        "SERVING_FAIL_FAST": "true",
        "OPTION_MAX_MODEL_LEN": str(settings.max_model_len),
        "TENSOR_PARALLEL_DEGREE": str(settings.accelerators),
    }


def _quantized_at_start(settings: LlmSettings) -> bool:
    return settings.quantization in QUANTIZED_AT_START
