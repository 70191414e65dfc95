"""What routes get from the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.rag.api.auth import KeyStore
from services.rag.pipeline.rag import RagPipeline
from services.rag.readiness import Readiness


@dataclass(frozen=True)
class Services:
    """The shared objects of a running application."""

    keys: KeyStore
    pipeline: RagPipeline
    readiness: Readiness


def services(request: Request) -> Services:
    """The shared objects, which the lifespan built."""
    found = request.app.state.services
    assert isinstance(found, Services)  # noqa: S101 - for the type checker
    return found


ServicesDep = Annotated[Services, Depends(services)]
