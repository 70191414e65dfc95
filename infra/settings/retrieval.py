"""Vector store, embedding model and retrieval."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from infra.settings.base import AbsolutePath, Group, ServiceUrl


class HostedVectors(Group):
    """Qdrant on an EC2 machine of the stage."""

    instance_type: str = Field(
        "t4g.micro",
        description="EC2 machine with a Graviton processor; all vectors should fit into its memory.",
        pattern=r"^(t4g|[cmr]\d+g[dn]*)\.[a-z0-9]+$",
    )
    machine_image: str = Field(
        "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-arm64",
        description="Amazon Linux 2023: an AMI's id, or the public SSM parameter of the newest at deployment.",
        pattern=r"^(ami-[0-9a-f]{8,17}|/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-[\w.]+-arm64)$",
    )
    qdrant_version: str = Field("1.19.1", description="Release of Qdrant.", pattern=r"^\d+\.\d+\.\d+$")
    qdrant_sha256: str = Field(
        # pragma: allowlist nextline secret - digest of a release of Qdrant
        "0e607c11705fab22f7d667f4749bc0b6b60a8fa9e91de71880a6ebafbbda1b26",
        description="SHA-256 of that release's qdrant-aarch64-unknown-linux-musl.tar.gz.",
        pattern=r"^[0-9a-f]{64}$",
    )
    volume_gb: int = Field(10, description="Volume with the vectors, in GB; it grows and never shrinks.", ge=4, le=2000)
    backup_hour: int = Field(3, description="Hour of the daily backup, UTC.", ge=0, le=23)
    backup_days: int = Field(14, description="Days that a daily backup is kept.", ge=1, le=365)
    volume_snapshots_kept: int = Field(
        0,
        description="Number of daily EBS snapshots of the whole volume to keep, besides the backups; 0: none.",
        ge=0,
        le=100,
    )
    retain: bool | None = Field(
        None,
        description="Whether volume and backups stay when CloudFormation deletes the stack; empty: in prod only.",
    )


class VectorSettings(Group):
    """The vector store: exactly one of an external address and a machine of the stage."""

    url: ServiceUrl | None = Field(
        None, description="Qdrant's address. Its API key is put into Secrets Manager after deployment."
    )
    hosted: HostedVectors | None = Field(
        None, description="Qdrant in the stage's VPC instead of `url`; a table, may be empty."
    )

    @model_validator(mode="after")
    def _is_somewhere(self) -> VectorSettings:
        if (self.url is None) == (self.hosted is None):
            raise ValueError(
                "exactly one of url (external Qdrant) and hosted (Qdrant on a machine of the stage) is needed; "
                """TWIN_VECTORS='{"url": null, "hosted": {}}' replaces url by hosted"""
            )
        return self


class EmbeddingSettings(Group):
    """The embedding model that the RAG service and the evaluation share."""

    model_dir: AbsolutePath = Field(
        "/opt/models/all-MiniLM-L6-v2", description="Directory of the model inside the image and the Lambda layer."
    )


class RetrievalSettings(Group):
    """Retrieval of documents; each re-ranker has its own setting."""

    tenant: str = Field("default", description="Tenant whose documents are read.", min_length=1, max_length=100)
    candidates: int = Field(20, description="Documents that are re-ranked.", ge=1, le=100)
    query_understanding: Literal["deterministic", "llm"] = Field(
        "deterministic", description="How a question is rephrased and its filters found; `llm` asks the served model."
    )
    reranker: Literal["blend", "cross-encoder", "tei", "sagemaker", "llm"] = Field(
        "blend", description="How search results are ordered."
    )
    reranker_model: AbsolutePath | None = Field(None, description="cross-encoder: its directory inside the image.")
    reranker_url: ServiceUrl | None = Field(None, description="tei: address of the server with POST /rerank.")
    reranker_endpoint_name: str | None = Field(
        None, description="sagemaker: the endpoint, of this account.", pattern=r"^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$"
    )

    @property
    def reranker_settings(self) -> dict[str, str]:
        """The set settings of the re-ranker, by name."""
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
