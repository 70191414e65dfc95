"""`GET /healthz` for load balancers and `GET /readyz` for operators."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from services.rag.api.deps import ServicesDep
from services.rag.api.protocol.schemas import Dependency, Readiness, errors
from services.rag.readiness import LLM

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Report that the process serves requests; dependencies are not checked, since a restart would not fix them."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Readiness, responses={**errors(401, 422, 500), 503: {"model": Readiness}})
async def readyz(
    services: ServicesDep,
    wake: Annotated[bool, Query(description="false leaves the model out: it is not asked, and so not woken")] = True,
) -> JSONResponse:
    """Report the state of every dependency; 503 when one is down.

    A model that sleeps is not down: a request wakes it and waits for it. Asking the LLM for its token wakes it too, so
    poll with `wake=false` only.
    """
    states = await services.readiness.states(without=() if wake else (LLM,))
    found = {state.name for state in states.values()}
    status: Literal["ready", "asleep", "not_ready"] = (
        "not_ready" if "down" in found else "asleep" if "asleep" in found else "ready"
    )
    body = Readiness(
        status=status,
        dependencies={name: Dependency(state=state.name, detail=state.detail) for name, state in states.items()},
    )
    return JSONResponse(body.model_dump(exclude_none=True), 503 if status == "not_ready" else 200)
