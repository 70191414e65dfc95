"""Groups of the deployment settings: one class per table of `infra/config/<stage>.toml`."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _service_url(value: str) -> str:
    """Accept https anywhere, and plain http to loopback only: keys travel with these requests."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an http(s) URL with a host is needed")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError(
            "plain http is allowed to 127.0.0.1 only, because an API key travels with each request; use https"
        )
    return value.rstrip("/")


def _opik_url(value: str) -> str:
    url = _service_url(value)
    if "/api" not in urlsplit(url).path:
        raise ValueError("the Opik SDK needs a URL whose path holds /api, like https://www.comet.com/opik/api")
    return url


def _environment_names(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            raise ValueError(f"{name!r} is not the name of an environment variable")
        if any(word in name for word in ("TOKEN", "SECRET", "PASSWORD", "API_KEY")):
            raise ValueError(f"{name} looks like a secret; a template is no place for it (use hub_token_secret_arn)")
    return value


ServiceUrl = Annotated[str, AfterValidator(_service_url)]
OpikUrl = Annotated[str, AfterValidator(_opik_url)]
Environment = Annotated[dict[str, str], AfterValidator(_environment_names)]
SecretArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@-]+$")]
AbsolutePath = Annotated[str, Field(pattern=r"^/", max_length=400)]


class Group(BaseModel):
    """A table of settings: unknown keys are errors, values cannot change after load."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkSettings(Group):
    """The VPC."""

    cidr: str = Field(
        "10.40.0.0/16", description="Address range of the VPC.", pattern=r"^\d+\.\d+\.\d+\.\d+/(1[6-9]|2[0-4])$"
    )
    availability_zones: tuple[str, ...] = Field(
        (),
        description="Zones to use; empty means zones a and b of the region. Synthesis looks nothing up.",
        max_length=4,
    )
    layout: Literal["public", "private"] = Field(
        "public",
        description="`public`: tasks in public subnets, closed by security groups, no NAT. `private`: private subnets.",
    )
    nat_gateways: int = Field(0, description="NAT gateways; used by layout `private` only.", ge=0, le=4)
    interface_endpoints: tuple[
        Literal["sagemaker-runtime", "sqs", "secretsmanager", "logs", "ecr.api", "ecr.dkr"], ...
    ] = Field((), description="AWS services reached through interface endpoints, each paid by the hour and zone.")
    flow_logs: bool = Field(False, description="Record the VPC's traffic in CloudWatch Logs.")


class LlmSettings(Group):
    """The LLM microservice: a SageMaker endpoint with one inference component."""

    model_id: str = Field(
        "Qwen/Qwen2.5-7B-Instruct", description="Model on the Hugging Face hub.", pattern=r"^[\w.-]+/[\w.-]+$"
    )
    model_revision: str = Field(
        "a09a35458c702b33eeacc393d103063234e8bc28",
        description="Commit of the model on the hub. A branch name would let a restart change the model.",
        pattern=r"^[0-9a-f]{40}$",
    )
    image: str = Field(
        # Tag: https://aws.github.io/deep-learning-containers/vllm/changelog/ (v1.3.0: vLLM 0.20, CUDA 12.9).
        # Account, repository and SageMaker contract: .../vllm/deployment/sagemaker/ of the same site.
        "763104351884.dkr.ecr.{region}.amazonaws.com/vllm:server-sagemaker-cuda-v1.3",
        description="Container image in ECR, with a tag or digest; `{region}` becomes the stage's region.",
        pattern=r"^\d{12}\.dkr\.ecr\.(\{region\}|[a-z0-9-]+)\.amazonaws\.com/[\w./-]+(:[\w.-]+|@sha256:[0-9a-f]{64})$",
    )
    inference_ami_version: str = Field(
        # The AMI that AWS names for this container: .../vllm/deployment/sagemaker/ (see `image`).
        "al2-ami-sagemaker-inference-gpu-3-1",
        description="SageMaker's machine image, which decides the GPU driver.",
        pattern=r"^[a-z0-9-]{1,63}$",
    )
    instance_type: str = Field(
        "ml.g6.2xlarge", description="Instance type of the endpoint.", pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"
    )
    max_instances: int = Field(1, description="Instances that managed scaling may start.", ge=1, le=20)
    accelerators: int = Field(1, description="GPUs per copy of the model.", ge=1, le=16)
    memory_mb: int = Field(16384, description="Host memory reserved per copy.", ge=128, le=2_000_000)
    max_copies: int = Field(
        1, description="Copies of the model at most; the minimum is always 0 (asleep).", ge=1, le=50
    )
    # 0 is for a deployment over a component that sleeps: SageMaker creates none without copies.
    initial_copies: int = Field(
        1, description="Copies after a deployment; the first one needs at least 1.", ge=0, le=50
    )
    concurrency_per_copy: float = Field(
        8, description="Concurrent requests per copy that scaling aims at.", ge=1, le=512
    )
    scale_in_cooldown_seconds: int = Field(900, description="Quiet time before a copy is taken away.", ge=60, le=7200)
    max_model_len: int = Field(8192, description="Longest prompt plus answer in tokens.", ge=512, le=1_048_576)
    dtype: Literal["auto", "bfloat16", "float16"] = Field("bfloat16", description="Number format of the weights.")
    startup_timeout_seconds: int = Field(
        1800,
        description="Time for download and start-up of the container; SageMaker allows up to one hour.",
        ge=60,
        le=3600,
    )
    request_timeout_seconds: float = Field(
        60, description="What the business service waits for an answer.", ge=1, le=300
    )
    max_output_tokens: int = Field(512, description="Longest answer.", ge=16, le=16384)
    temperature: float = Field(0.1, description="Sampling temperature.", ge=0, le=2)
    environment: Environment = Field(default_factory=dict, description="Further environment of the container.")
    hub_token_secret_arn: SecretArn | None = Field(
        None,
        description="Secret with a hub token for gated models; CloudFormation resolves it at deployment.",
    )
    kms_key_arn: str | None = Field(
        None,
        description="Key for the endpoint's storage; SageMaker refuses it for instance types with NVMe disks.",
        pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+$",
    )

    @model_validator(mode="after")
    def _copies_fit(self) -> LlmSettings:
        if self.initial_copies > self.max_copies:
            raise ValueError(f"initial_copies ({self.initial_copies}) is above max_copies ({self.max_copies})")
        if self.max_output_tokens >= self.max_model_len:
            raise ValueError("max_output_tokens must be below max_model_len, which holds the prompt as well")
        return self


class BusinessSettings(Group):
    """The business microservice on Fargate."""

    image_repository: str = Field(
        "llm-twin/rag",
        description="ECR repository of the service's image; its tag is `release`.",
        pattern=r"^[a-z0-9][a-z0-9._/-]{1,200}$",
    )
    cpu: Literal[256, 512, 1024, 2048, 4096] = Field(512, description="CPU units per task (1024 = one vCPU).")
    memory_mb: int = Field(
        1024, description="Memory per task; Fargate allows 2 to 8 times the CPU units.", ge=512, le=30720
    )
    desired_count: int | None = Field(
        None,
        description="Tasks; empty leaves the number to autoscaling, so that a deployment does not reset it.",
        ge=0,
        le=50,
    )
    min_tasks: int = Field(1, description="Tasks at least.", ge=1, le=50)
    max_tasks: int = Field(4, description="Tasks at most.", ge=1, le=50)
    cpu_target_percent: int = Field(60, description="CPU load that scaling aims at.", ge=10, le=90)
    requests_per_task: int = Field(
        600, description="Requests per minute and task that scaling aims at.", ge=10, le=100_000
    )
    tmpfs_mb: int = Field(64, description="Size of /tmp, the only place that a task can write to.", ge=16, le=1024)
    documents_bucket: str | None = Field(
        None,
        description="Bucket that `twin ingest s3://...` reads in the service's place; empty lets it read none.",
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    )
    retrieval_top_k: int = Field(5, description="Documents in a prompt.", ge=1, le=20)
    sample_rate: float = Field(0.1, description="Share of answers that go to evaluation.", ge=0, le=1)
    idle_timeout_seconds: int = Field(
        120, description="The load balancer's patience between two bytes of a stream.", ge=30, le=4000
    )
    drain_seconds: int = Field(60, description="Time for running streams to end when a task stops.", ge=0, le=110)
    certificate_arn: str | None = Field(
        None,
        description="ACM certificate: the API then serves HTTPS to the internet; without one it is internal to the VPC",
        pattern=r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[\w-]+$",
    )
    domain_name: str | None = Field(
        None, description="Name that the certificate is for.", pattern=r"^[a-z0-9.-]+\.[a-z]{2,}$"
    )
    container_insights: bool = Field(False, description="Detailed container metrics, paid per task.")

    @model_validator(mode="after")
    def _consistent(self) -> BusinessSettings:
        if self.min_tasks > self.max_tasks:
            raise ValueError(f"min_tasks ({self.min_tasks}) is above max_tasks ({self.max_tasks})")
        if not 2 * self.cpu <= self.memory_mb <= 8 * self.cpu:
            raise ValueError(f"Fargate needs memory_mb between {2 * self.cpu} and {8 * self.cpu} for cpu={self.cpu}")
        if bool(self.certificate_arn) != bool(self.domain_name):
            raise ValueError("certificate_arn and domain_name belong together: set both or none")
        return self


class VectorSettings(Group):
    """The vector store."""

    url: ServiceUrl = Field(description="Qdrant's address. Its API key is put into Secrets Manager after deployment.")


class RetrievalSettings(Group):
    """How documents are found; what a re-ranker needs belongs to it and to no other."""

    tenant: str = Field("default", description="Whose documents are read.", min_length=1, max_length=100)
    candidates: int = Field(20, description="Documents that are re-ranked.", ge=1, le=100)
    query_understanding: Literal["deterministic", "llm"] = Field(
        "deterministic", description="Who rephrases a question and finds the filters in it; llm asks the served model."
    )
    reranker: Literal["blend", "cross-encoder", "tei", "sagemaker", "llm"] = Field(
        "blend", description="Who orders what the searches found."
    )
    reranker_model: AbsolutePath | None = Field(None, description="cross-encoder: its directory inside the image.")
    reranker_url: ServiceUrl | None = Field(None, description="tei: address of the server with POST /rerank.")
    reranker_endpoint_name: str | None = Field(
        None, description="sagemaker: the endpoint, of this account.", pattern=r"^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$"
    )

    @property
    def reranker_settings(self) -> dict[str, str]:
        """What the re-ranker is given, by name."""
        given = {
            "reranker_model": self.reranker_model,
            "reranker_url": self.reranker_url,
            "reranker_endpoint_name": self.reranker_endpoint_name,
        }
        return {name: value for name, value in given.items() if value}

    @model_validator(mode="after")
    def _has_what_the_reranker_needs(self) -> RetrievalSettings:
        needs = {"cross-encoder": "reranker_model", "tei": "reranker_url", "sagemaker": "reranker_endpoint_name"}
        needed = needs.get(self.reranker)
        if set(self.reranker_settings) != ({needed} if needed else set()):
            raise ValueError(
                f"reranker {self.reranker} needs {needed or 'no further setting'} and no other of its kind"
            )
        return self


class MonitoringSettings(Group):
    """Where traces go."""

    opik_url: OpikUrl = Field(
        description="Opik's API address. Its API key is put into Secrets Manager after deployment."
    )
    workspace: str = Field("default", description="Opik workspace.", min_length=1, max_length=150)
    project: str = Field("llm-twin", description="Opik project.", min_length=1, max_length=150)
    traces_per_second: float = Field(10, description="Tracing budget of one process.", gt=0, le=1000)
    trace_content: bool = Field(True, description="Whether traces hold questions, prompts, documents and answers.")
    anonymise: tuple[Literal["email", "phone", "key"], ...] = Field(
        ("email", "phone", "key"), description="What is removed from traces, samples and debug logs."
    )
    anonymise_patterns: dict[str, str] = Field(
        {}, description="Further regular expressions to remove: name, which replaces what matches, to pattern."
    )
    page_url: ServiceUrl | None = Field(
        None, description="Opik's page for people, linked in alerts; derived from opik_url if empty."
    )
    log_retention_days: Literal[1, 3, 7, 14, 30, 60, 90, 180, 365] = Field(14, description="How long logs are kept.")
    sentry_dsn_secret_arn: SecretArn | None = Field(
        None, description="Secret that holds the Sentry DSN of the business service; unexpected errors then go there."
    )


class EmbeddingSettings(Group):
    """The embedding model that the business service and the evaluation share."""

    model_dir: AbsolutePath = Field(
        "/opt/models/all-MiniLM-L6-v2", description="Directory of the model inside the image and the Lambda layer."
    )


class Threshold(Group):
    """What a quality metric may fall to before people are told."""

    mean: float | None = Field(None, description="Alarm below this mean.", gt=0, lt=1)
    p10: float | None = Field(None, description="Alarm when a tenth of the answers scores below this.", gt=0, lt=1)


class EvaluationSettings(Group):
    """Collection and judging of sampled answers, and what raises an alarm."""

    dataset: str = Field(
        "LLMTwinMonitoringDataset", description="Opik dataset of sampled answers.", min_length=1, max_length=150
    )
    metric_namespace: str = Field("LLMTwin", description="CloudWatch namespace.", pattern=r"^[A-Za-z][\w./#-]{0,200}$")
    runtime: Literal["python3.12", "python3.13", "python3.14"] = Field("python3.14", description="Lambda runtime.")
    batch_size: int = Field(50, description="Samples per call of the collector.", ge=1, le=50)
    batch_window_seconds: int = Field(60, description="How long the collector waits to fill a batch.", ge=0, le=300)
    interval_minutes: int = Field(60, description="Time between two evaluations.", ge=5, le=1440)
    collect_timeout_seconds: int = Field(120, description="Longest run of the collector.", ge=10, le=900)
    evaluate_timeout_seconds: int = Field(900, description="Longest run of an evaluation.", ge=30, le=900)
    memory_mb: int = Field(1024, description="Memory of a function.", ge=256, le=10240)
    evaluate_every: int = Field(
        50, description="New samples after which an evaluation is started before its time.", ge=1, le=100_000
    )
    shard_size: int = Field(
        500, description="Samples that one call judges; more of them go over the state machine.", ge=1, le=1000
    )
    shard_concurrency: int = Field(8, description="Shards that the state machine judges at a time.", ge=1, le=100)
    retention_days: dict[str, Annotated[int, Field(ge=1, le=3650)]] = Field(
        {"LLMTwinMonitoringDataset": 90}, description="Days that the items of each dataset are kept."
    )
    quality: dict[Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{0,60}$")], Threshold] = Field(
        {
            "Groundedness": Threshold(mean=0.6, p10=0.2),
            "AnswerRelevance": Threshold(mean=0.4, p10=0.15),
        },
        description="Thresholds by metric.",
    )
    queue_age_seconds: int = Field(
        900, description="Alarm when a sample waits longer to be collected.", ge=60, le=345_600
    )
    latency_p99_seconds: float = Field(30, description="Alarm when the model's p99 is slower.", gt=0, le=300)
    alert_emails: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")], ...] = Field(
        (), description="Addresses that get every alert by e-mail as well; each must confirm the first one."
    )
    messages_per_hour: int = Field(
        30, description="Chat messages in an hour, beyond which alerts go by e-mail only.", ge=1, le=1000
    )
    trace_url: str | None = Field(
        None,
        description="Page of a trace, with `{trace_id}` in it; empty derives it from the address of Opik.",
        pattern=r"^https?://\S*\{trace_id\}\S*$",
    )
    alarm_period_seconds: int = Field(
        3600,
        description="Window of the quality alarms; at least the time between two evaluations.",
        ge=60,
        le=86400,
        multiple_of=60,
    )
    missing_data: Literal["breaching", "notBreaching", "ignore"] = Field(
        "breaching", description="What the quality alarm makes of a window without scores: no evaluation is bad news."
    )
    platform_has_dependencies: bool = Field(
        False,
        description="The platform's interpreter already holds the functions' dependencies: no layer need be built.",
    )
    runbook_url: str = Field(
        "https://example.com/llm-twin/runbook", description="Page that an alert links to.", pattern=r"^https?://\S+$"
    )


class GuardSettings(Group):
    """Protection of the purse."""

    enabled: bool = Field(True, description="Delete the LLM stack when its time is up.")
    ttl_hours: int = Field(8, description="Life of the LLM stack since its last deployment.", ge=1, le=720)
    expires_at: AwareDatetime | None = Field(
        None, description="Fixed end of life instead of ttl_hours, with a time zone."
    )


Workflow = Literal["preview", "deploy", "teardown", "evaluate"]


class DeliverySettings(Group):
    """The trust of this account in one GitHub repository."""

    repository: str | None = Field(
        None,
        description="GitHub repository OWNER/NAME that may deploy; empty leaves the Delivery stack out.",
        pattern=r"^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}$",
    )
    owner_id: int | None = Field(
        None, description="Numeric id of the owner, where GitHub puts ids into the token's subject.", ge=1
    )
    repository_id: int | None = Field(
        None, description="Numeric id of the repository, where GitHub puts ids into the token's subject.", ge=1
    )
    branch: str = Field("main", description="The only branch that deploys.", pattern=r"^[\w.-]+(/[\w.-]+)*$")
    workflows: tuple[Workflow, ...] = Field(
        ("preview", "deploy", "teardown", "evaluate"),
        description="Workflows with a role here; previews belong into an account of their own where there is one.",
        min_length=1,
    )
    stages: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,19}$")], ...] = Field(
        ("dev", "prod"), description="Lasting stages that deploy, teardown and evaluate may touch.", min_length=1
    )
    provider_arn: str | None = Field(
        None,
        description="GitHub's OIDC provider, where the account has one: it can have only one.",
        pattern=r"^arn:aws[a-z-]*:iam::\d{12}:oidc-provider/token\.actions\.githubusercontent\.com$",
    )
    qualifier: str = Field(
        "hnb659fds", description="Qualifier of the CDK bootstrap stack.", pattern=r"^[A-Za-z0-9_-]{1,10}$"
    )

    @model_validator(mode="after")
    def _ids_come_in_pairs(self) -> DeliverySettings:
        if (self.owner_id is None) != (self.repository_id is None):
            raise ValueError("owner_id and repository_id belong together: set both or none")
        return self
