"""Settings of the RAG service: environment variables, read once at start."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from services.common.anonymise import KINDS, Kind, bounded
from services.common.settings import ServiceSettings
from services.common.tls import ssl_context_from


class StoreSettings(ServiceSettings):
    """Settings of the document store and of the embedding model."""

    qdrant_url: str = Field(pattern=r"^https?://", description="address of Qdrant, http(s)://host[:port]")
    qdrant_api_key: SecretStr | None = Field(default=None, description="key of Qdrant; unset means none is sent")
    qdrant_api_key_secret_arn: str | None = Field(
        default=None, description="secret that holds the key, read again when Qdrant refuses the current one"
    )
    qdrant_ca_file: Path | None = Field(
        default=None, description="PEM file of the certificates to trust for Qdrant, instead of the system's"
    )
    qdrant_ca_pem: str | None = Field(default=None, description="the same as PEM text; set only one of the two")
    qdrant_timeout_seconds: int = Field(default=5, ge=1, le=60, description="upper bound of one call to Qdrant")
    embedding_model_dir: Path = Field(description="directory with model.onnx, tokenizer.json and config.json")
    tenant: str = Field(default="default", min_length=1, description="tenant whose documents are read and written")
    embedding_threads: int = Field(default=1, ge=1, le=64, description="threads that embed at the same time")

    @field_validator("qdrant_ca_file", "qdrant_ca_pem")
    @classmethod
    def _holds_a_certificate(cls, value: Path | str | None, info: ValidationInfo) -> Path | str | None:
        if value is None:
            return None
        if info.data.get("qdrant_ca_file") is not None:
            raise ValueError("QDRANT_CA_FILE is set as well: one of them is enough")
        ssl_context_from(value)
        return value

    @property
    def qdrant_trust(self) -> ssl.SSLContext | None:
        """TLS context that trusts only the configured certificates; None means the system's authorities."""
        named = self.qdrant_ca_file or self.qdrant_ca_pem
        return None if named is None else ssl_context_from(named)


RERANKER_FIELDS = {
    "reranker_model": ("cross-encoder", True),
    "reranker_model_revision": ("cross-encoder", False),
    "reranker_url": ("tei", True),
    "reranker_endpoint_name": ("sagemaker", True),
    "reranker_inference_component_name": ("sagemaker", False),
}
"""Settings that belong to one re-ranker: name -> (the re-ranker, whether it needs the setting)."""


class RetrievalSettings(StoreSettings):
    """Settings of retrieval."""

    retrieval_top_k: int = Field(default=4, ge=1, le=20, description="documents handed to the model")
    retrieval_candidates: int = Field(
        default=20, ge=1, le=100, description="most documents found per collection, and most that are re-ranked"
    )

    query_understanding: Literal["deterministic", "llm"] = Field(
        default="deterministic", description="how a question is rephrased and its filters are found"
    )
    query_variants: int = Field(default=3, ge=0, le=8, description="rephrasings to search with; 0 switches them off")
    understanding_timeout_seconds: float = Field(
        default=2, gt=0, le=8, description="upper bound of one call for query understanding"
    )
    understanding_endpoint_name: str | None = Field(
        default=None, description="SageMaker endpoint for query understanding; unset means the one that generates"
    )
    understanding_inference_component_name: str | None = Field(
        default=None, description="inference component of understanding_endpoint_name"
    )

    reranker: Literal["blend", "cross-encoder", "tei", "sagemaker", "llm"] = Field(
        default="blend", description="how the found documents are ordered"
    )
    reranker_model: str | None = Field(
        default=None,
        validate_default=True,
        description="cross-encoder: directory with tokenizer.json and [onnx/]model*.onnx, or id on the model hub",
    )
    reranker_model_revision: str | None = Field(
        default=None, validate_default=True, description="commit of reranker_model on the model hub"
    )
    reranker_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        validate_default=True,
        description="address of the server with POST /rerank",
    )
    reranker_endpoint_name: str | None = Field(
        default=None, validate_default=True, description="SageMaker endpoint that re-ranks"
    )
    reranker_inference_component_name: str | None = Field(
        default=None, validate_default=True, description="inference component of reranker_endpoint_name"
    )
    reranker_timeout_seconds: float = Field(
        default=2, gt=0, le=8, description="upper bound of one call of a remote re-ranker"
    )

    @field_validator(*RERANKER_FIELDS)
    @classmethod
    def _belongs_to_the_reranker(cls, value: str | None, info: ValidationInfo) -> str | None:
        owner, needed = RERANKER_FIELDS[str(info.field_name)]
        chosen = info.data.get("reranker", owner)
        if value is None and needed and chosen == owner:
            raise ValueError(f"RERANKER={owner} needs it")
        if value is not None and chosen != owner:
            raise ValueError(f"it belongs to RERANKER={owner}, but RERANKER is {chosen}")
        return value


class RagSettings(RetrievalSettings):
    """The environment of `python -m services.rag`."""

    stage: str = Field(min_length=1, description="deployment stage, for example dev")
    release: str = Field(min_length=1, description="identifier of the running release")
    bind_host: str = Field(default="0.0.0.0", description="address to listen on")  # noqa: S104 - a container's port
    port: int = Field(default=8000, ge=1, le=65535, description="port to listen on")

    llm_endpoint_name: str = Field(min_length=1, description="SageMaker endpoint that generates")
    llm_inference_component_name: str | None = Field(default=None, description="inference component of the endpoint")
    llm_model_id: str = Field(min_length=1, description="the served model, where an answer names none")
    llm_timeout_seconds: float = Field(default=60, gt=0, le=900, description="upper bound of one generation")
    llm_max_output_tokens: int = Field(default=512, ge=1, le=32768, description="longest answer, in tokens")
    llm_temperature: float = Field(default=0.0, ge=0, le=2, description="sampling temperature")
    llm_price_per_hour_usd: float | None = Field(
        default=None, ge=0, description="price of the endpoint's instances per hour, for the cost estimate in traces"
    )

    llm_silence_seconds: float = Field(
        default=30, gt=0, le=900, description="longest wait for the first or the next piece of an answer"
    )
    llm_max_model_len: int = Field(
        default=8192, ge=512, le=1_048_576, description="the model's window: most tokens of prompt and answer together"
    )
    llm_tokenizer_path: Path | None = Field(
        default=None, description="tokenizer.json of the served model; without it, token counts are estimated"
    )
    llm_count_tokens: bool = Field(
        default=False,
        description="whether the endpoint's container has the route /tokenize (AWS's vLLM container since v1.4): it is "
        "then asked for counts where an estimate is near a limit",
    )

    query_max_tokens: int = Field(default=1000, ge=16, le=131072, description="longest question, in tokens")
    context_max_tokens: int = Field(default=2000, ge=100, le=131072, description="longest context, in tokens")
    max_request_bytes: int = Field(default=65536, ge=1024, le=10_485_760, description="largest request body")
    max_concurrent_requests: int = Field(
        default=256, ge=1, le=10_000, description="most concurrent requests, including those that wait for the model"
    )
    wake_max_held: int = Field(
        default=100, ge=0, le=10_000, description="requests that may wait for a sleeping model; more are refused"
    )
    wake_hold_seconds: float = Field(
        # A 0.6B model from the hub took 9 min 24 s on ml.g5.xlarge (huggingface/skills,
        # hf-cloud-sagemaker-production-defaults), and the default model is more than ten times as large.
        default=1200,
        ge=0,
        le=3600,
        description="longest wait of a streamed request for a sleeping model",
    )
    wake_hold_silent_seconds: float = Field(
        default=50,
        ge=0,
        le=3600,
        description="the same for other requests: less than the load balancer's idle timeout",
    )
    drain_seconds: int = Field(
        default=15, ge=0, le=110, description="time for running answers to end when the service is told to stop"
    )
    keep_alive_seconds: int = Field(
        default=130,
        ge=1,
        le=4100,
        description="time after which an idle connection is closed: more than the load balancer's idle timeout",
    )
    requests_per_minute: int = Field(
        default=120, ge=1, le=100_000, description="rate limit of API keys without their own, per process"
    )

    log_file: Path | None = Field(default=None, description="file that also gets the log, rotated at 10 MB")
    metric_namespace: str | None = Field(
        default=None, description="CloudWatch namespace; unset writes no metrics to standard output"
    )
    sentry_dsn: SecretStr | None = Field(
        default=None, description="Sentry project for unexpected errors; unset sends none"
    )

    opik_url_override: str | None = Field(default=None, description="address of Opik's API; unset switches tracing off")
    opik_workspace: str = Field(default="default", description="workspace in Opik")
    opik_project_name: str = Field(default="llm-twin", description="project in Opik")
    opik_api_key: SecretStr | None = Field(default=None, description="key of Opik; unset for a server without keys")
    opik_api_key_secret_arn: str | None = Field(
        default=None, description="secret that holds the key, read again when Opik refuses the current one"
    )
    traces_per_second: float = Field(default=10, ge=0, le=1000, description="tracing budget of this process")

    trace_content: bool = Field(
        default=True, description="whether traces contain questions, prompts, documents and answers"
    )
    anonymise: tuple[Kind, ...] = Field(
        default=KINDS, description="what is removed from traces, samples and debug logs, as JSON: email, phone, key"
    )
    anonymise_patterns: dict[str, str] = Field(
        default={}, description="further regular expressions, as JSON: name, which replaces what matches, to pattern"
    )

    samples_queue_url: str = Field(pattern=r"^https?://", description="SQS queue for sampled answers")
    sample_rate: float = Field(default=1.0, ge=0, le=1, description="share of answers that are evaluated")
    api_keys_secret_arn: str = Field(min_length=1, description="secret that holds the hashed API keys")

    @field_validator("anonymise_patterns")
    @classmethod
    def _bounded(cls, patterns: dict[str, str]) -> dict[str, str]:
        for name, pattern in patterns.items():
            bounded(name, pattern)
        return patterns
