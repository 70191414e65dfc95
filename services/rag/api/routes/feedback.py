"""`POST /feedback`: a caller's score of an answer."""

from __future__ import annotations

from fastapi import APIRouter
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
async def feedback(body: FeedbackRequest, services: ServicesDep) -> Response:
    """Score an answer from 0 (useless) to 1 (right); the score `user_feedback` appears on its trace.

    A second score for the same answer replaces the first. 404: no answer with this trace id was recorded; 503:
    monitoring is off or does not answer.
    """
    await services.feedback.submit(str(body.trace_id), body.score, body.reason)
    return Response(status_code=204)
