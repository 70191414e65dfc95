"""Shared objects of the application, as routes get them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.common.trace_owners import TraceOwners
from services.rag.api.auth import KeyStore
from services.rag.api.limits import RateLimiter
from services.rag.pipeline.rag import RagPipeline
from services.rag.pipeline.waking import WakeGate
from services.rag.readiness import Readiness
from services.rag.sampling.feedback import Feedback
from services.rag.telemetry.emf import EmfWriter
from services.rag.telemetry.metrics import Metrics


@dataclass(frozen=True)
class WakeTimeout:
    """Longest wait of a request for a model that sleeps, in seconds.

    Attributes:
        streaming: of a streamed request, whose status events keep every connection on the way open.
        non_streaming: of any other request.
    """

    streaming: float
    non_streaming: float

    def for_request(self, *, stream: bool) -> float:
        """The timeout of one request, in seconds."""
        return self.streaming if stream else self.non_streaming


@dataclass(frozen=True)
class Services:
    """The shared objects of a running application.

    Attributes:
        model_id: of the model that answers.
        started: Unix time of the start, in seconds.
        emf: writes metrics for CloudWatch; None when no namespace is set.
    """

    keys: KeyStore
    limiter: RateLimiter
    gate: WakeGate
    wake_timeout: WakeTimeout
    pipeline: RagPipeline
    readiness: Readiness
    feedback: Feedback
    owners: TraceOwners
    metrics: Metrics
    emf: EmfWriter | None
    model_id: str
    started: int


async def services(request: Request) -> Services:
    """The shared objects, which the lifespan built.

    `async` because FastAPI runs every other dependency on a thread, which costs more than the function.
    """
    found = request.app.state.services
    assert isinstance(found, Services)  # noqa: S101 - for the type checker
    return found


ServicesDep = Annotated[Services, Depends(services)]
