"""What routes get from the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.rag.api.auth import KeyStore
from services.rag.api.limits import RateLimiter
from services.rag.pipeline.rag import RagPipeline
from services.rag.pipeline.waking import WakeGate
from services.rag.readiness import Readiness
from services.rag.sampling.feedback import Feedback
from services.rag.telemetry.emf import EmfWriter
from services.rag.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Patience:
    """How long a request waits for a model that sleeps, in seconds.

    Attributes:
        streamed: with signs of life, which keep every connection on the way open.
        silent: without.
    """

    streamed: float
    silent: float

    def of(self, *, stream: bool) -> float:
        """The patience with one request."""
        return self.streamed if stream else self.silent


@dataclass(frozen=True)
class Services:
    """The shared objects of a running application.

    Attributes:
        model_id: of the model that answers.
        started: Unix time of the start, in seconds.
        emf: writes metrics for CloudWatch; None where nobody reads them.
    """

    keys: KeyStore
    limiter: RateLimiter
    gate: WakeGate
    patience: Patience
    pipeline: RagPipeline
    readiness: Readiness
    feedback: Feedback
    metrics: Metrics
    emf: EmfWriter | None
    model_id: str
    started: int


async def services(request: Request) -> Services:
    """The shared objects, which the lifespan built.

    `async` for its cost alone: FastAPI hands every other dependency to a thread and waits for it.
    """
    found = request.app.state.services
    assert isinstance(found, Services)  # noqa: S101 - for the type checker
    return found


ServicesDep = Annotated[Services, Depends(services)]
