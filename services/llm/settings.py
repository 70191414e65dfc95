"""Settings of the LLM microservice: environment variables, read once at start."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from services.common.settings import ConfigurationError, ServiceSettings


class LlmSettings(ServiceSettings):
    """The environment of `python -m services.llm`."""

    sagemaker_bind_to_port: int = Field(8080, ge=1, le=65535, description="port to listen on, set by the platform")
    bind_host: str = Field("127.0.0.1", description="address to listen on")
    sm_vllm_model: str = Field("", description="name of the model in responses; empty means the engine's name")
    sm_vllm_served_model_name: str = Field("", description="name of the model in responses, before SM_VLLM_MODEL")
    llm_engine: Literal["extractive", "openai", "confabulating"] = Field(
        "extractive", description="engine that answers: extractive, openai or confabulating"
    )
    embedding_model_dir: Path | None = Field(None, description="embedding model directory, needed by extractive")
    llm_token_delay_ms: float = Field(
        5, ge=0, le=1000, description="pause between words of the local engines, in milliseconds"
    )
    llm_openai_base_url: str | None = Field(
        None, pattern=r"^https?://", description="OpenAI-compatible base URL, needed by openai (http://host:port/v1)"
    )
    llm_openai_api_key: SecretStr | None = Field(None, description="key sent to LLM_OPENAI_BASE_URL")
    llm_openai_model: str | None = Field(None, description="model asked for at LLM_OPENAI_BASE_URL")
    llm_openai_timeout_seconds: float = Field(
        60, gt=0, le=900, description="longest silence of LLM_OPENAI_BASE_URL, in seconds"
    )

    @property
    def model_name(self) -> str:
        """Name of the model in responses."""
        return self.sm_vllm_served_model_name or self.sm_vllm_model or self.llm_engine

    def require(self, variable: str, value: object) -> None:
        """Check a variable that only the chosen engine needs.

        Raises:
            ConfigurationError: it is not set.
        """
        if not value:
            raise ConfigurationError(
                f"environment variable {variable} is not set: LLM_ENGINE={self.llm_engine} needs it"
            )
