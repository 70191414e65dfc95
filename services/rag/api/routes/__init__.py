"""The routes, one module per interface."""

from services.rag.api.routes import feedback, health, metrics, openai, page, rag

ROUTERS = tuple(module.router for module in (page, health, rag, openai, feedback, metrics))

__all__ = ["ROUTERS"]
