"""Opens the store that the settings name."""

from __future__ import annotations

from services.common.renewable_key import key_from_settings
from services.rag.embeddings.pool import CpuPool
from services.rag.settings import StoreSettings
from services.rag.stores.qdrant import QdrantStore

KEY_HEADER = "api-key"


def open_store(settings: StoreSettings, pool: CpuPool) -> QdrantStore:
    """The store for the embedding model of `pool` and the tenant of the settings; connects on first use."""
    return QdrantStore(
        settings.qdrant_url,
        embedding_model_id=pool.model_id,
        dimension=pool.dimension,
        auth=key_from_settings(KEY_HEADER, settings.qdrant_api_key, settings.qdrant_api_key_secret_arn),
        tenant=settings.tenant,
        timeout_seconds=settings.qdrant_timeout_seconds,
        trusted=settings.qdrant_trust,
    )
