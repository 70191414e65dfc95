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
    sm_vllm_served_model_name: str = Field(
        "", description="name of the model in responses; empty means LLM_OPENAI_MODEL, or else the engine's name"
    )
    sm_vllm_max_model_len: int = Field(8192, ge=1, description="the model's window: most tokens of prompt and answer")
    option_max_model_len: int | None = Field(
        None, ge=1, description="the same in LMI's container, which reads no route from custom attributes"
    )
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
    llm_openai_key_file: Path | None = Field(
        None, description="file with that key, read at start; LLM_OPENAI_API_KEY comes before it"
    )
    llm_openai_model: str | None = Field(None, description="model asked for at LLM_OPENAI_BASE_URL")
    llm_openai_timeout_seconds: float = Field(
        60, gt=0, le=900, description="longest silence of LLM_OPENAI_BASE_URL, in seconds"
    )

    @property
    def max_model_len(self) -> int:
        """The model's window in tokens."""
        return self.option_max_model_len or self.sm_vllm_max_model_len

    @property
    def model_name(self) -> str:
        """Name of the model in responses."""
        upstream = self.llm_openai_model if self.llm_engine == "openai" else None
        return self.sm_vllm_served_model_name or upstream or self.llm_engine

    def upstream_key(self) -> str | None:
        """The key for LLM_OPENAI_BASE_URL; None without one.

        Raises:
            ConfigurationError: the file cannot be read.
        """
        if self.llm_openai_api_key is not None:
            return self.llm_openai_api_key.get_secret_value()
        if self.llm_openai_key_file is None:
            return None
        try:
            return self.llm_openai_key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(
                f"environment variable LLM_OPENAI_KEY_FILE is wrong: {self.llm_openai_key_file} cannot be read"
            ) from None

    def require(self, variable: str, value: object) -> None:
        """Check a variable that only the chosen engine needs.

        Raises:
            ConfigurationError: it is not set.
        """
        if not value:
            raise ConfigurationError(
                f"environment variable {variable} is not set: LLM_ENGINE={self.llm_engine} needs it"
            )
