"""Opens the store that the settings name."""

from __future__ import annotations

from services.common.renewable_key import key_from_settings
from services.rag.settings import StoreSettings
from services.rag.stores.qdrant import QdrantStore

KEY_HEADER = "api-key"


def open_store(settings: StoreSettings, model_id: str, dimension: int) -> QdrantStore:
    """The store of the settings' tenant; connects on first use.

    Args:
        settings: where the store is, and whose documents are used.
        model_id: embedding model of all vectors, as collections record it.
        dimension: length of its vectors.
    """
    return QdrantStore(
        settings.qdrant_url,
        embedding_model_id=model_id,
        dimension=dimension,
        auth=key_from_settings(KEY_HEADER, settings.qdrant_api_key, settings.qdrant_api_key_secret_arn),
        tenant=settings.tenant,
        timeout_seconds=settings.qdrant_timeout_seconds,
        trusted=settings.qdrant_trust,
    )
