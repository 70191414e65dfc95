"""Settings of the LLM microservice, read from the environment that the SageMaker model declares."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, HttpUrl, SecretStr

from services.common.settings import ConfigurationError, ServiceSettings


class LlmSettings(ServiceSettings):
    """What this container needs; vLLM's own container reads the `SM_VLLM_` variables itself."""

    sagemaker_bind_to_port: int = Field(8080, description="Port, as SageMaker sets it", ge=1, le=65535)
    bind_host: str = Field("0.0.0.0", description="Address to listen on; containers listen on all")  # noqa: S104
    sm_vllm_model: str = Field(description="Model id, named in every answer", min_length=1)
    llm_engine: Literal["extractive", "openai", "confabulating"] = Field("extractive", description="Engine to front")
    llm_token_delay_ms: float = Field(5, description="Pause between streamed tokens in milliseconds", ge=0, le=1000)
    embedding_model_dir: Path | None = Field(None, description="Embedding model's directory, for engine extractive")
    llm_openai_base_url: HttpUrl | None = Field(None, description="Base URL ending in /v1, for engine openai")
    llm_openai_api_key: SecretStr | None = Field(None, description="Key for that URL")
    llm_openai_model: str | None = Field(None, description="Model's name at that URL; default is SM_VLLM_MODEL")

    def require(self, field: str) -> None:
        """Raise `ConfigurationError` when the chosen engine needs a variable that is not set."""
        if getattr(self, field) is None:
            raise ConfigurationError(
                f"environment variable {field.upper()} is not set, and LLM_ENGINE={self.llm_engine} needs it"
            )
