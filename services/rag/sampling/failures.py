"""Which failed requests belong into the evaluation's sample: all that were worked on and gave no answer."""

from __future__ import annotations

from typing import Any

from services.common.anonymise import Anonymiser
from services.common.breaker import CircuitOpen
from services.common.sagemaker import EndpointUpdating, NoCapacity, Throttled
from services.common.tracing import Trace
from services.rag.errors import Overloaded

# Turned away before any work was done. Under load these are many, they say nothing about answers, and the service's
# metrics count them.
_TURNED_AWAY = (CircuitOpen, EndpointUpdating, NoCapacity, Overloaded, Throttled)
_KEPT = ("model_id", "embedding_model_id", "prompt_name", "prompt_version", "stage", "release")


def failed_sample(trace: Trace, error: Exception, anonymiser: Anonymiser) -> dict[str, Any] | None:
    """The sample of a request that failed, or None when it was turned away.

    It carries no context: there is no answer that could be judged by it.
    """
    query = trace.input.get("query")
    if isinstance(error, _TURNED_AWAY) or not query:
        return None
    kept = {name: trace.metadata[name] for name in _KEPT if trace.metadata.get(name) is not None}
    return {
        "trace_id": trace.id,
        "query": anonymiser.text(query),
        "answer": "",
        "context": [],
        "metadata": {**kept, "error": type(error).__name__},
    }
