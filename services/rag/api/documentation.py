"""The OpenAPI document: completes the one that FastAPI makes of the routes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from services.rag.api.middleware import HEALTH_PATH

DESCRIPTION = """Answers from the authors' documents, with sources.

Every call but `GET /healthz` and the chat page needs `Authorization: Bearer <key>`. Every response carries
`X-Request-Id`; answers carry `X-Trace-Id` as well. `POST` requests count against the key's rate limit, which the
`X-RateLimit-*-Requests` headers report. Every error has the same shape, which is OpenAI's with a request id."""


def install(app: FastAPI, *, max_output_tokens: int) -> None:
    """Complete the application's OpenAPI document.

    Args:
        app: with all its routes.
        max_output_tokens: longest answer that may be asked for.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"key": []}]
            document["paths"][HEALTH_PATH]["get"]["security"] = []
            _limit_output(document["components"]["schemas"]["ChatCompletionRequest"], max_output_tokens)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _limit_output(schema: dict[str, Any], most: int) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        for variant in schema["properties"][name]["anyOf"]:
            if variant.get("type") == "integer":
                variant["maximum"] = most
