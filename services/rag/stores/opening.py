"""Opens the store that the settings name."""

from __future__ import annotations

from services.rag.embeddings.pool import CpuPool
from services.rag.settings import StoreSettings
from services.rag.stores.qdrant import QdrantStore


def open_store(settings: StoreSettings, pool: CpuPool) -> QdrantStore:
    """The store for the embedding model of `pool` and the tenant of the settings; connects on first use."""
    key = settings.qdrant_api_key
    return QdrantStore(
        settings.qdrant_url,
        embedding_model_id=pool.model_id,
        dimension=pool.dimension,
        api_key=key.get_secret_value() if key else None,
        tenant=settings.tenant,
        timeout_seconds=settings.qdrant_timeout_seconds,
        trusted=settings.qdrant_trust,
    )
