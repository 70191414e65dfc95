"""Environment variables of the RAG service that come from settings; other resources add theirs in the stack."""

from __future__ import annotations

import json

from infra.environment import opik_environment
from infra.names import Names, served_component
from infra.settings.deployment import DeploymentSettings
from infra.settings.retrieval import RetrievalSettings

KEEP_ALIVE_MARGIN_SECONDS = 10
"""How much longer than the load balancer the service keeps idle connections: it must not close one that the balancer is
about to use, which would be a 502 (Elastic Load Balancing, "Troubleshoot your Application Load Balancers")."""
SILENCE_MARGIN_SECONDS = 10
"""How much earlier than the load balancer the service gives up: callers then get its own error, not a 504."""


def service_environment(settings: DeploymentSettings) -> dict[str, str]:
    """Variables by the names in `services.rag.settings`."""
    names, component = Names.of(settings), served_component(settings)
    return {
        "STAGE": settings.stage,
        "RELEASE": settings.release,
        "LLM_ENDPOINT_NAME": names.endpoint,
        **({"LLM_INFERENCE_COMPONENT_NAME": component} if component else {}),
        "LLM_MODEL_ID": settings.llm.served_name,
        "LLM_TIMEOUT_SECONDS": f"{settings.llm.request_timeout_seconds:g}",
        **({"LLM_COUNT_TOKENS": "true"} if settings.llm.counts_tokens else {}),
        "LLM_MAX_OUTPUT_TOKENS": str(settings.llm.max_output_tokens),
        "LLM_TEMPERATURE": f"{settings.llm.temperature:g}",
        "EMBEDDING_MODEL_DIR": settings.embedding.model_dir,
        "RETRIEVAL_TOP_K": str(settings.rag.retrieval_top_k),
        "DRAIN_SECONDS": str(settings.rag.drain_seconds),
        "KEEP_ALIVE_SECONDS": str(settings.rag.idle_timeout_seconds + KEEP_ALIVE_MARGIN_SECONDS),
        "WAKE_HOLD_SILENT_SECONDS": str(settings.rag.idle_timeout_seconds - SILENCE_MARGIN_SECONDS),
        "SAMPLE_RATE": f"{settings.rag.sample_rate:g}",
        "METRIC_NAMESPACE": settings.evaluation.metric_namespace,
        "TRACES_PER_SECOND": f"{settings.monitoring.traces_per_second:g}",
        "TRACE_CONTENT": str(settings.monitoring.trace_content).lower(),
        "ANONYMISE": json.dumps(settings.monitoring.anonymise),
        "ANONYMISE_PATTERNS": json.dumps(settings.monitoring.anonymise_patterns, sort_keys=True),
        **_retrieval(settings.retrieval),
        **opik_environment(settings),
    }


def _retrieval(settings: RetrievalSettings) -> dict[str, str]:
    return {
        "TENANT": settings.tenant,
        "RETRIEVAL_CANDIDATES": str(settings.candidates),
        "QUERY_UNDERSTANDING": settings.query_understanding,
        "RERANKER": settings.reranker,
        **{name.upper(): value for name, value in settings.reranker_settings.items()},
    }
