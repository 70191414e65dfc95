"""Where documents are and how they are found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from infra.settings_groups.base import AbsolutePath, Group, ServiceUrl


class VectorSettings(Group):
    """The vector store."""

    url: ServiceUrl = Field(description="Qdrant's address. Its API key is put into Secrets Manager after deployment.")


class EmbeddingSettings(Group):
    """The embedding model that the business service and the evaluation share."""

    model_dir: AbsolutePath = Field(
        "/opt/models/all-MiniLM-L6-v2", description="Directory of the model inside the image and the Lambda layer."
    )


class RetrievalSettings(Group):
    """How documents are found; what a re-ranker needs belongs to it and to no other."""

    tenant: str = Field("default", description="Whose documents are read.", min_length=1, max_length=100)
    candidates: int = Field(20, description="Documents that are re-ranked.", ge=1, le=100)
    query_understanding: Literal["deterministic", "llm"] = Field(
        "deterministic", description="Who rephrases a question and finds the filters in it; llm asks the served model."
    )
    reranker: Literal["blend", "cross-encoder", "tei", "sagemaker", "llm"] = Field(
        "blend", description="Who orders what the searches found."
    )
    reranker_model: AbsolutePath | None = Field(None, description="cross-encoder: its directory inside the image.")
    reranker_url: ServiceUrl | None = Field(None, description="tei: address of the server with POST /rerank.")
    reranker_endpoint_name: str | None = Field(
        None, description="sagemaker: the endpoint, of this account.", pattern=r"^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$"
    )

    @property
    def reranker_settings(self) -> dict[str, str]:
        """What the re-ranker is given, by name."""
        given = {
            "reranker_model": self.reranker_model,
            "reranker_url": self.reranker_url,
            "reranker_endpoint_name": self.reranker_endpoint_name,
        }
        return {name: value for name, value in given.items() if value}

    @model_validator(mode="after")
    def _has_what_the_reranker_needs(self) -> RetrievalSettings:
        needs = {"cross-encoder": "reranker_model", "tei": "reranker_url", "sagemaker": "reranker_endpoint_name"}
        needed = needs.get(self.reranker)
        if set(self.reranker_settings) != ({needed} if needed else set()):
            raise ValueError(
                f"reranker {self.reranker} needs {needed or 'no further setting'} and no other of its kind"
            )
        return self
