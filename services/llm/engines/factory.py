"""Makes the engine that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from services.common.embedding import Embedder, EmbeddingModelError
from services.common.settings import ConfigurationError
from services.llm.engines import Engine
from services.llm.engines.confabulating import ConfabulatingEngine
from services.llm.engines.extractive import ExtractiveEngine
from services.llm.engines.openai import OpenAiEngine
from services.llm.settings import LlmSettings


def create_engine(settings: LlmSettings) -> Engine:
    """The engine, loaded and ready.

    Raises:
        ConfigurationError: when it lacks a variable or its model.
    """
    if settings.llm_engine == "confabulating":
        return ConfabulatingEngine(settings.llm_token_delay_ms)
    if settings.llm_engine == "openai":
        settings.require("llm_openai_base_url")
        key = settings.llm_openai_api_key.get_secret_value() if settings.llm_openai_api_key else None
        return OpenAiEngine(str(settings.llm_openai_base_url), key, settings.llm_openai_model or settings.sm_vllm_model)
    settings.require("embedding_model_dir")
    try:
        return ExtractiveEngine(Embedder(cast(Path, settings.embedding_model_dir)), settings.llm_token_delay_ms)
    except EmbeddingModelError as error:
        raise ConfigurationError(str(error)) from None
