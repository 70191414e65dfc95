"""Samples from recorded traces, for answers that are flagged after they were given."""

from __future__ import annotations

import re
from typing import Any

# The format of documents in the prompt; see services.rag.pipeline.prompt.
_DOCUMENT = re.compile(
    r'<document id="\d+" title="[^"\n]*">\n((?:[^\n<]++|\n(?!</document>)|<(?!document id="))*+)\n</document>'
)
SAMPLE_METADATA = ("model_id", "embedding_model_id", "prompt_name", "prompt_version", "stage", "release")
"""Fields of a trace's metadata that its sample keeps."""


class NotAnAnswer(ValueError):
    """A trace holds no question of this service; the message may be shown to a person."""


def is_sampled(trace: dict[str, Any]) -> bool:
    """Whether the answer was sampled when it was given."""
    return bool((trace.get("metadata") or {}).get("sampled"))


def sample_of(trace: dict[str, Any], flagged: str) -> dict[str, Any]:
    """The sample of a trace as Opik's REST API gives it.

    Args:
        trace: of one answered or failed question.
        flagged: by whom or why; kept in the sample's metadata.

    Raises:
        NotAnAnswer: the trace has no question.
    """
    query = (trace.get("input") or {}).get("query")
    if not isinstance(query, str) or not query:
        raise NotAnAnswer(f"Trace {trace.get('id')} holds no question of this service.")
    metadata = trace.get("metadata") or {}
    variables = metadata.get("prompt_template_variables") or {}
    kept = {name: metadata[name] for name in SAMPLE_METADATA if metadata.get(name) is not None}
    error = (trace.get("error_info") or {}).get("exception_type")
    return {
        "trace_id": str(trace["id"]),
        "query": query,
        "answer": str((trace.get("output") or {}).get("answer") or ""),
        "context": _DOCUMENT.findall(str(variables.get("context") or "")),
        "metadata": {**kept, "flagged": flagged, **({"error": error} if error else {})},
    }
