"""`GET /healthz` for load balancers and `GET /readyz` for operators."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from services.rag.api.deps import ServicesDep
from services.rag.api.protocol.schemas import Dependency, Readiness, errors

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Report that the process serves requests; dependencies are not checked, since a restart would not fix them."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Readiness, responses={**errors(401, 500), 503: {"model": Readiness}})
async def readyz(services: ServicesDep) -> JSONResponse:
    """Report the state of every dependency; 503 unless all are ready.

    Asks the LLM for one token, which wakes an endpoint that sleeps: do not poll it.
    """
    states = await services.readiness.states()
    ready = all(problem is None for problem in states.values())
    body = Readiness(
        status="ready" if ready else "not_ready",
        dependencies={
            name: Dependency(state="ok" if problem is None else "down", detail=problem)
            for name, problem in states.items()
        },
    )
    return JSONResponse(body.model_dump(exclude_none=True), 200 if ready else 503)
