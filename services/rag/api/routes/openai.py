"""`POST /v1/chat/completions` and `GET /v1/models`, for any OpenAI client with this service as base URL."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from services.common.logging import request_id_var, trace_id_var
from services.rag.api.deps import Services, ServicesDep
from services.rag.api.protocol.errors import ApiError
from services.rag.api.protocol.openai_codec import ChunkCodec, completion
from services.rag.api.protocol.openai_schemas import ChatCompletion, ChatCompletionRequest, Message, Model, ModelList
from services.rag.api.protocol.responses import EventStreamResponse, json_answer
from services.rag.api.protocol.schemas import GENERATION_ERRORS, errors, event_stream
from services.rag.api.protocol.trace_headers import begin_trace
from services.rag.conversation import Question, Sampling, Turn
from services.rag.errors import BadRequest
from services.rag.pipeline.recorder import TRACE_NAME

router = APIRouter(prefix="/v1", tags=["openai"])

OWNER = "llm-twin"
_INSTRUCTING = ("system", "developer")


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses={**GENERATION_ERRORS, **errors(400), **event_stream()},
)
async def chat_completions(body: ChatCompletionRequest, request: Request, services: ServicesDep) -> Response:
    """Answer the last user message from the authors' documents, in OpenAI's shape.

    Earlier turns are kept as far as they fit, the newest first; system messages follow the service's own. Besides
    OpenAI's fields, the answer (when streaming: its last chunk before `[DONE]`) has `sources`, `trace_id`, `timings`
    and `degraded`.
    """
    question = _question(body, request.state.received, services.wake_timeout.for_request(stream=bool(body.stream)))
    await services.pipeline.check(question)
    trace = begin_trace(TRACE_NAME, request.headers, request.state.key_name, services.owners)
    trace_id_var.set(trace.id)
    events = services.pipeline.answer(question, trace)
    headers = {"X-Trace-Id": trace.id}
    if body.stream:
        wanted = bool(body.stream_options and body.stream_options.include_usage)
        return EventStreamResponse(events, headers, ChunkCodec(trace.id, services.model_id, include_usage=wanted))
    return await json_answer(request, completion(events, trace.id), headers)


@router.get("/models", response_model=ModelList, responses=errors(401, 500, 503))
async def models(services: ServicesDep) -> dict[str, Any]:
    """The model that answers."""
    return {"object": "list", "data": [_card(services)]}


@router.get("/models/{model_id:path}", response_model=Model, responses=errors(401, 404, 422, 500, 503))
async def model(model_id: str, services: ServicesDep) -> Response:
    """One model by its id."""
    if model_id != services.model_id:
        return ApiError(404, "model_not_found", f"There is no model {model_id!r} here.", param="model").response()
    return JSONResponse(_card(services))


def _card(services: Services) -> dict[str, Any]:
    return {"id": services.model_id, "object": "model", "created": services.started, "owned_by": OWNER}


def _question(body: ChatCompletionRequest, received: float, wake_timeout_seconds: float) -> Question:
    if body.n not in (None, 1):
        raise BadRequest("This service gives one answer per request: leave n out or set it to 1.", "unsupported", "n")
    if body.tools:
        raise BadRequest("This service calls no tools: leave tools out.", "unsupported", "tools")
    for message in body.messages:
        _check_message(message)
    last = max((at for at, message in enumerate(body.messages) if message.role == "user"), default=None)
    if last is None:
        raise BadRequest("There is no user message to answer.", "no_user_message", "messages")
    turns = tuple(
        Turn("assistant" if message.role == "assistant" else "user", message.text)
        for message in body.messages[:last]
        if message.role not in _INSTRUCTING and message.text.strip()
    )
    system = "\n".join(message.text.strip() for message in body.messages if message.role in _INSTRUCTING).strip()
    return Question(
        body.messages[last].text.strip(),
        body.enable_rag,
        body.author,
        request_id_var.get(),
        received,
        history=turns,
        system=system,
        sampling=Sampling(
            temperature=body.temperature,
            top_p=body.top_p,
            max_tokens=body.max_completion_tokens or body.max_tokens,
            stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        ),
        allow_without_context=body.allow_without_context,
        wake_timeout_seconds=wake_timeout_seconds,
    )


def _check_message(message: Message) -> None:
    """Refuse content that this service cannot read, instead of answering as if it were not there."""
    if message.role not in (*_INSTRUCTING, "user", "assistant"):
        sentence = f"Messages of the role {message.role!r} are not read here; use system, user and assistant."
        raise BadRequest(sentence, "unsupported", "messages")
    if message.tool_calls:
        raise BadRequest("This service calls no tools: leave tool_calls out.", "unsupported", "messages")
    if message.content is None:
        raise BadRequest(f"A message of the role {message.role!r} has no content.", "no_content", "messages")
    for part in message.content if isinstance(message.content, list) else ():
        if part.type != "text":
            sentence = f"Messages may hold text only; a part of the type {part.type!r} is not read here."
            raise BadRequest(sentence, "unsupported", "messages")
    if message.role == "user" and not message.text.strip():
        raise BadRequest("A user message says nothing.", "no_content", "messages")
