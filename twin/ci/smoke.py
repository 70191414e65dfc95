"""One question that a deployed stage must answer before anything else is asked of it."""

from __future__ import annotations

from twin.target.answer import Answer, ask
from twin.target.errors import TwinError
from twin.target.stage import Stage


def smoke(stage: Stage, query: str) -> Answer:
    """The answer to `query` through the public API: with text, sources and a trace.

    Raises:
        TwinError: the service refuses, or a part is missing.
    """
    answer = ask(stage, query, sample=False)
    missing = [
        name
        for name, there in (("text", answer.text.strip()), ("sources", answer.sources), ("trace", answer.trace_id))
        if not there
    ]
    if missing:
        raise TwinError(f"The answer of stage {stage.name} has no {' and no '.join(missing)}.")
    return answer
