"""Chooses the engine that the settings name."""

from __future__ import annotations

from services.common.embedding import check_model_dir
from services.llm.engines.base import Engine
from services.llm.engines.confabulating import ConfabulatingEngine
from services.llm.engines.extractive import ExtractiveEngine
from services.llm.engines.openai import OpenAiEngine
from services.llm.settings import LlmSettings


def create_engine(settings: LlmSettings) -> Engine:
    """The engine, not loaded yet.

    Raises:
        ConfigurationError: a variable that this engine needs is missing or wrong.
    """
    delay = settings.llm_token_delay_ms / 1000
    if settings.llm_engine == "confabulating":
        return ConfabulatingEngine(delay)
    if settings.llm_engine == "openai":
        settings.require("LLM_OPENAI_BASE_URL", settings.llm_openai_base_url)
        return OpenAiEngine(
            str(settings.llm_openai_base_url),
            settings.upstream_key(),
            settings.llm_openai_model,
            settings.llm_openai_timeout_seconds,
        )
    settings.require("EMBEDDING_MODEL_DIR", settings.embedding_model_dir)
    assert settings.embedding_model_dir is not None  # noqa: S101 - for the type checker, require() has raised
    check_model_dir(settings.embedding_model_dir)
    return ExtractiveEngine(settings.embedding_model_dir, delay)
