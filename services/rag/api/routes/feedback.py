"""`POST /feedback`: a caller's score of an answer."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.rag.api.deps import ServicesDep
from services.rag.api.protocol.schemas import FeedbackRequest, errors

router = APIRouter(tags=["feedback"])


@router.post(
    "/feedback",
    status_code=204,
    response_class=Response,
    responses=errors(401, 404, 408, 413, 422, 429, 500, 503),
)
async def feedback(body: FeedbackRequest, request: Request, services: ServicesDep) -> Response:
    """Score an answer from 0 (useless) to 1 (right); the score `user_feedback` appears on its trace.

    A second score for the same answer replaces the first. 404: this key got no answer with this trace id, or it
    was not recorded; 503: monitoring is off or does not answer.
    """
    await services.feedback.submit(str(body.trace_id), body.score, body.reason, request.state.key_name)
    return Response(status_code=204)
