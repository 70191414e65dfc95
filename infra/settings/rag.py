"""The RAG service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from infra.settings.base import Group
from infra.settings.edge_limits import CERTIFICATE_REGION, MOST_READ_SECONDS


class RagSettings(Group):
    """The RAG service on Fargate."""

    image_repository: str = Field(
        "llm-twin/rag",
        description="ECR repository of the service's image; its tag is `release`.",
        pattern=r"^[a-z0-9][a-z0-9._/-]{1,200}$",
    )
    image: str | None = Field(
        None,
        description="A published image to run instead, by digest, like `ghcr.io/OWNER/NAME/rag@sha256:...` of a "
        "release; it must be public. Empty: the image of `release` in image_repository, which `twin deploy` has built.",
        pattern=r"^[a-z0-9.-]+\.[a-z]+/[a-z0-9][a-z0-9._/-]*@sha256:[0-9a-f]{64}$",
    )
    cpu: Literal[256, 512, 1024, 2048, 4096] = Field(512, description="CPU units per task (1024 = one vCPU).")
    memory_mb: int = Field(
        1024, description="Memory per task; Fargate allows 2 to 8 times the CPU units.", ge=512, le=30720
    )
    desired_count: int | None = Field(
        None,
        description="Number of tasks; empty: autoscaling decides, and a deployment does not reset it.",
        ge=0,
        le=50,
    )
    min_tasks: int = Field(1, description="Minimum number of tasks.", ge=1, le=50)
    max_tasks: int = Field(4, description="Maximum number of tasks.", ge=1, le=50)
    cpu_target_percent: int = Field(60, description="CPU load that scaling aims at.", ge=10, le=90)
    requests_per_task: int = Field(
        600, description="Requests per minute and task that scaling aims at.", ge=10, le=100_000
    )
    ttft_p90_seconds: float = Field(
        5.0,
        description="p90 of the time to the first token above which scaling adds a task.",
        ge=0.1,
        le=600,
    )
    spot: bool = Field(
        False,
        description="Run every task on Fargate Spot: up to 70 % off; AWS may stop any of them at two minutes' notice.",
    )
    tmpfs_mb: int = Field(64, description="Size of /tmp, the only place that a task can write to.", ge=16, le=1024)
    documents_bucket: str | None = Field(
        None,
        description="Bucket that `twin ingest s3://...` reads by a task of its own; empty: none.",
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    )
    documents: str | None = Field(
        None,
        description="What is read into the store after a deployment: a folder of the checkout, or "
        "`s3://bucket/prefix` in documents_bucket; empty: documents_bucket by a person's `twin deploy`, nothing by a "
        "workflow.",
        min_length=1,
        max_length=1024,
    )
    retrieval_top_k: int = Field(5, description="Documents in a prompt.", ge=1, le=20)
    sample_rate: float = Field(0.5, description="Share of answers that are sampled for evaluation.", ge=0, le=1)
    idle_timeout_seconds: int = Field(
        120,
        description="Idle timeout of load balancer and CloudFront: longest time between two bytes of a stream.",
        ge=30,
        le=4000,
    )
    drain_seconds: int = Field(60, description="Time for running streams to end when a task stops.", ge=0, le=110)
    edge: Literal["cloudfront", "load_balancer", "internal"] = Field(
        "cloudfront",
        description="Where HTTPS ends: at CloudFront, before an internal load balancer; at a load balancer on the "
        "internet, with its certificate; or nowhere, and the API is plain HTTP inside the VPC.",
    )
    edge_prefix_list: str | None = Field(
        None,
        description="Prefix list com.amazonaws.global.cloudfront.origin-facing of a region that is not known here.",
        pattern=r"^pl-[0-9a-f]{8,17}$",
    )
    certificate_arn: str | None = Field(
        None,
        description="ACM certificate of `domain_name`: in us-east-1 for CloudFront, in the stage's region for a load "
        "balancer. Without one CloudFront uses its own name and certificate.",
        pattern=r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[\w-]+$",
    )
    domain_name: str | None = Field(
        None, description="Domain name of the certificate.", pattern=r"^[a-z0-9.-]+\.[a-z]{2,}$"
    )
    web_acl: bool = Field(
        False,
        description="Web ACL at the load balancer: rate limit per address, AWS's common rules and known bad inputs; 8 "
        "USD a month and 0.60 per million requests.",
    )
    web_acl_requests_per_address: int = Field(
        1000,
        description="Requests in five minutes above which the web ACL refuses an address.",
        ge=10,
        le=2_000_000_000,
    )
    container_insights: bool = Field(False, description="Detailed container metrics, paid per task.")

    @model_validator(mode="after")
    def _consistent(self) -> RagSettings:
        if self.min_tasks > self.max_tasks:
            raise ValueError(f"min_tasks ({self.min_tasks}) is above max_tasks ({self.max_tasks})")
        if not 2 * self.cpu <= self.memory_mb <= 8 * self.cpu:
            raise ValueError(f"Fargate needs memory_mb between {2 * self.cpu} and {8 * self.cpu} for cpu={self.cpu}")
        if bool(self.certificate_arn) != bool(self.domain_name):
            raise ValueError("certificate_arn and domain_name belong together: set both or none")
        self._edge_fits()
        return self

    def _edge_fits(self) -> None:
        if self.edge == "load_balancer" and self.certificate_arn is None:
            raise ValueError("edge=load_balancer needs certificate_arn and domain_name: API keys never travel in clear")
        if self.edge == "internal" and self.certificate_arn is not None:
            raise ValueError("edge=internal uses no certificate: unset certificate_arn and domain_name, or change edge")
        if self.edge != "cloudfront":
            return
        if self.certificate_arn is not None and self.certificate_arn.split(":")[3] != CERTIFICATE_REGION:
            raise ValueError(
                f"edge=cloudfront takes certificates of {CERTIFICATE_REGION} only: request certificate_arn there, or "
                "set edge=load_balancer"
            )
        if self.idle_timeout_seconds > MOST_READ_SECONDS:
            raise ValueError(
                f"idle_timeout_seconds: CloudFront waits {MOST_READ_SECONDS} s at most for an origin's next bytes, "
                "unless AWS raises the account's quota"
            )
