"""The LLM microservice."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from infra.settings.base import Environment, Group, SecretArn
from infra.settings.data_capture import BUCKET, KMS_KEY_ARN, DataCapture
from infra.settings.llm_images import AMI_FOR_CUDA, IMAGES, cuda_of, image_in, reads_routes
from infra.settings.llm_pools import Dtype, PoolModel, Quantization

InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]


class LlmSettings(Group):
    """The LLM microservice: a SageMaker endpoint with one model."""

    model_id: str = Field(
        "Qwen/Qwen2.5-7B-Instruct", description="Model on the Hugging Face hub.", pattern=r"^[\w.-]+/[\w.-]+$"
    )
    model_revision: str = Field(
        # pragma: allowlist nextline secret - commit of the model on the hub
        "a09a35458c702b33eeacc393d103063234e8bc28",
        description="Commit of the model on the hub. A branch name would let a restart change the model.",
        pattern=r"^[0-9a-f]{40}$",
    )
    served_model_name: str = Field(
        "",
        description="Name of the model for callers, in answers and traces. Empty: `model_id`.",
        pattern=r"^[\w./:@-]{0,200}$",
    )
    weights: Literal["hub", "s3"] = Field(
        "hub",
        description="Source of the model's weights: the hub, or a bucket that `twin model stage` filled; "
        "then the container has no network.",
    )
    weights_bucket: str | None = Field(
        None,
        description="Existing bucket of the weights, which is never deleted; empty: a bucket of the stage, made "
        "by `twin model stage` and deleted with the stage.",
        pattern=BUCKET,
    )
    weights_kms_key_arn: str | None = Field(
        None, description="KMS key of the weights in their bucket; empty: S3's own.", pattern=KMS_KEY_ARN
    )
    container: Literal["vllm", "lmi"] = Field(
        "vllm", description="AWS's container around vLLM: vLLM's own server, or LMI (DJL Serving)."
    )
    image: str | None = Field(
        None,
        description="Container image in ECR, with a tag or digest; `{region}` becomes the stage's region and "
        "`{registry}` the account of AWS's containers there. Empty: the release of `container` that these stacks were "
        "written for.",
        pattern=r"^(\d{12}|\{registry\})\.dkr\.ecr\.(\{region\}|[a-z0-9-]+)\.amazonaws\.com/[\w./-]+"
        r"(:[\w.-]+|@sha256:[0-9a-f]{64})$",
    )
    inference_ami_version: str | None = Field(
        None,
        description="SageMaker's machine image, which determines the GPU driver. Empty: the one for the CUDA release "
        "that the image's tag names; a tag that names none needs this setting.",
        pattern=r"^[a-z0-9-]{1,63}$",
    )
    mode: Literal["inference-component", "real-time"] = Field(
        "inference-component",
        description="How the endpoint holds the model: as an inference component that scales to zero, or in the "
        "endpoint itself, which always runs.",
    )
    instance_type: InstanceType = Field("ml.g6.2xlarge", description="Instance type of the endpoint.")
    fallback_instance_types: tuple[InstanceType, ...] = Field(
        (),
        description="Further instance types, in this order, when AWS has no capacity of the first; the model must fit "
        "each, or have another in `fallback_models`.",
        max_length=4,
    )
    fallback_models: dict[InstanceType, PoolModel] = Field(
        default_factory=dict,
        description="Another model for a type of `fallback_instance_types`, a smaller or quantized one say: a table by "
        "instance type, of model_id and model_revision, and where they differ dtype, quantization, accelerators, "
        "memory_mb. The window is `max_model_len` on every type.",
    )
    max_instances: int = Field(
        1,
        description="Instances that scaling may start; an update of a model that is awake needs one more.",
        ge=1,
        le=20,
    )
    accelerators: int = Field(1, description="GPUs per copy of the model.", ge=1, le=16)
    memory_mb: int = Field(
        4096,
        description="Host memory that SageMaker must find free on an instance to place a copy there; it reserves and "
        "limits nothing. An `.xlarge` with 16 GiB has room for 1024.",
        ge=128,
        le=2_000_000,
    )
    max_copies: int = Field(
        1, description="Maximum number of copies of the model; the minimum is always 0.", ge=1, le=50
    )
    # Others were refused 0 for a new component, https://github.com/stdapi-ai/stdapi.ai/issues/43, although the API's
    # model takes it (botocore: InferenceComponentCopyCount, min 0).
    initial_copies: int = Field(
        1,
        description="Copies after a deployment. 0 is for one over a component that sleeps: SageMaker creates none "
        "without a copy, so `twin deploy` begins with one then. Afterwards it passes the present number on.",
        ge=0,
        le=50,
    )
    concurrency_per_copy: float = Field(
        8, description="Concurrent requests per copy that scaling aims at.", ge=1, le=512
    )
    # The alarm of target tracking takes 90 values of 10 seconds: aws-samples/sagemaker-genai-hosting-examples,
    # 03-features/autoscaling/scale_down_to_zero.ipynb.
    scale_in_cooldown_seconds: int = Field(
        900,
        description="Pause between two removals of copies. The first comes after 15 minutes without load, whatever "
        "this says.",
        ge=60,
        le=7200,
    )
    max_model_len: int = Field(8192, description="Longest prompt plus answer in tokens.", ge=512, le=1_048_576)
    dtype: Dtype = Field("bfloat16", description="Number format of the weights.")
    quantization: Quantization = Field(
        "none",
        description="fp8 and bitsandbytes: the container quantizes while it loads. awq and gptq: the model's files are "
        "quantized this way, which the preflight checks. none: as the files are.",
    )
    startup_timeout_seconds: int = Field(
        1800,
        description="Time for download and start-up of the container; SageMaker allows up to one hour.",
        ge=60,
        le=3600,
    )
    rollback_errors: int | None = Field(
        3,
        description="Failed requests in one minute of an update that roll it back; empty: no rollback.",
        ge=1,
        le=10_000,
    )
    bake_seconds: int = Field(
        180, description="Time for which each step of an update is watched for such errors.", ge=60, le=3600
    )
    count_tokens: bool | None = Field(
        None,
        description="Whether the RAG service asks the container for token counts (route /tokenize) where an estimate "
        "is near a limit. Empty: when the image's tag is that of AWS's vLLM container v1.4 or newer.",
    )
    detailed_observability: bool = Field(
        # SageMaker's own default for new endpoint configurations (API_MetricsConfig of its reference).
        True,
        description="Metrics of the container, each GPU and each host by OpenTelemetry in CloudWatch; for their price "
        "see docs/cost.md.",
    )
    ssm_access: bool = Field(
        False,
        description="Shells in the model's container by Systems Manager, to look at one that does not start. AWS must "
        "allow the account first, and then patches and replaces machines a day later: not for production.",
    )
    data_capture: DataCapture | None = Field(
        None, description="Capture of questions and answers into a bucket; a table. Empty: none."
    )
    request_timeout_seconds: float = Field(
        60, description="Time that the RAG service waits for an answer.", ge=1, le=300
    )
    max_output_tokens: int = Field(512, description="Longest answer in tokens.", ge=16, le=16384)
    temperature: float = Field(0.1, description="Sampling temperature.", ge=0, le=2)
    environment: Environment = Field(default_factory=dict, description="Further environment of the container.")
    hub_token_secret_arn: SecretArn | None = Field(
        None,
        description="Secret with a hub token for gated models; CloudFormation resolves it at deployment.",
    )
    kms_key_arn: str | None = Field(
        None,
        description="KMS key of the endpoint's storage volume. It does not encrypt the local NVMe disks of an instance "
        "(g5, g6 and others), on which the weights lie; the instance's own hardware does.",
        pattern=KMS_KEY_ARN,
    )

    @model_validator(mode="after")
    def _copies_fit(self) -> LlmSettings:
        if self.initial_copies > self.max_copies:
            raise ValueError(f"initial_copies ({self.initial_copies}) is above max_copies ({self.max_copies})")
        if self.max_output_tokens >= self.max_model_len:
            raise ValueError("max_output_tokens must be below max_model_len, which holds the prompt as well")
        return self

    @model_validator(mode="after")
    def _staged_weights_need_no_token(self) -> LlmSettings:
        if self.weights == "s3" and self.hub_token_secret_arn is not None:
            raise ValueError(
                'hub_token_secret_arn is for weights = "hub": a container with staged weights asks no hub '
                "(`twin model stage` reads HF_TOKEN)"
            )
        return self

    @model_validator(mode="after")
    def _real_time_always_runs(self) -> LlmSettings:
        if self.mode == "real-time" and self.initial_copies == 0:
            raise ValueError(
                'initial_copies of 0 is for mode = "inference-component": a real-time endpoint cannot scale to zero'
            )
        return self

    @model_validator(mode="after")
    def _driver_is_known(self) -> LlmSettings:
        if self.inference_ami_version is None and cuda_of(self.container_image) not in AMI_FOR_CUDA:
            raise ValueError(
                f"inference_ami_version is needed: the tag of {self.container_image} does not say which CUDA release "
                f"is in it (CUDA 12: {AMI_FOR_CUDA[12]}, CUDA 13: {AMI_FOR_CUDA[13]})"
            )
        return self

    @model_validator(mode="after")
    def _pools_differ(self) -> LlmSettings:
        if len(set(self.instance_types)) != len(self.instance_types):
            raise ValueError("fallback_instance_types names an instance type twice, or instance_type again")
        return self

    @model_validator(mode="after")
    def _fallback_models_have_a_pool(self) -> LlmSettings:
        if unknown := sorted(set(self.fallback_models) - set(self.fallback_instance_types)):
            raise ValueError(f"fallback_models names {', '.join(unknown)}, which fallback_instance_types does not")
        if self.fallback_models and self.weights == "s3":
            raise ValueError('fallback_models need weights = "hub": `twin model stage` stages one model')
        return self

    # https://docs.aws.amazon.com/sagemaker/latest/dg/ssm-access.html
    @model_validator(mode="after")
    def _isolated_containers_have_no_shell(self) -> LlmSettings:
        if self.ssm_access and self.weights == "s3":
            raise ValueError(
                'ssm_access is for weights = "hub": with staged weights the container has no network, and no session '
                "can be started"
            )
        return self

    def on(self, instance_type: str) -> LlmSettings:
        """The settings as they are on one of `instance_types`: with the model that runs there."""
        own = self.fallback_models.get(instance_type)
        changed = {} if own is None else own.model_dump(exclude_none=True)
        return self.model_copy(update={**changed, "instance_type": instance_type})

    @property
    def served_name(self) -> str:
        """The name by which answers, traces and callers know the model."""
        return self.served_model_name or self.model_id

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Every instance type that the endpoint may get, the first choice first."""
        return (self.instance_type, *self.fallback_instance_types)

    @property
    def container_image(self) -> str:
        """Container image, with the placeholders `{registry}` and `{region}`."""
        return self.image or IMAGES[self.container]

    @property
    def counts_tokens(self) -> bool:
        """Whether the container is asked for token counts."""
        return reads_routes(self.container_image) if self.count_tokens is None else self.count_tokens

    def image_in(self, region: str) -> str:
        """Container image in a region.

        Raises:
            KeyError: AWS's containers are asked for where their registry is not known.
        """
        return image_in(self.container_image, region)

    @property
    def ami_version(self) -> str:
        """SageMaker's machine image: the one that is set, else the one that fits the container."""
        return self.inference_ami_version or AMI_FOR_CUDA[cuda_of(self.container_image) or 0]

    @property
    def weights_prefix(self) -> str:
        """Prefix of the model's files in their bucket, which holds id and revision."""
        return f"models/{self.model_id}/{self.model_revision}/"
