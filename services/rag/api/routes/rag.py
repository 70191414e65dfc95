"""`POST /rag`: one question, one answer, as JSON or as a stream."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.common.logging import request_id_var, trace_id_var
from services.rag.api.deps import ServicesDep
from services.rag.api.protocol.rag_codec import EventCodec, rag_response
from services.rag.api.protocol.responses import EventStreamResponse, json_answer
from services.rag.api.protocol.schemas import GENERATION_ERRORS, RagRequest, RagResponse, event_stream
from services.rag.api.protocol.trace_headers import begin_trace
from services.rag.conversation import Question, Turn
from services.rag.pipeline.recorder import TRACE_NAME

router = APIRouter(tags=["rag"])

EVENTS = ("status", "token", "sources", "done", "error")


@router.post("/rag", response_model=RagResponse, responses={**GENERATION_ERRORS, **event_stream(*EVENTS)})
async def rag(body: RagRequest, request: Request, services: ServicesDep) -> Response:
    """Answer a question from the authors' documents.

    With `stream: true` the answer comes as Server-Sent Events: `status` {state: waking | retrieving | generating},
    `token` {text}, `sources` {sources}, `done` {trace_id, model, usage, timings, degraded}, or `error` in the shape
    of every error. A failure before the first token, or within a second, has its own HTTP status instead.
    """
    question = Question(
        body.query,
        body.enable_rag,
        body.author,
        request_id_var.get(),
        request.state.received,
        history=tuple(Turn(turn.role, turn.content) for turn in body.history),
        allow_without_context=body.allow_without_context,
        wake_timeout_seconds=services.wake_timeout.for_request(stream=body.stream),
    )
    await services.pipeline.check(question)
    trace = begin_trace(TRACE_NAME, request.headers, request.state.key_name, services.owners)
    trace_id_var.set(trace.id)
    events = services.pipeline.answer(question, trace)
    headers = {"X-Trace-Id": trace.id}
    if body.stream:
        return EventStreamResponse(events, headers, EventCodec())
    return await json_answer(request, rag_response(events), headers)
