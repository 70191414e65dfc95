"""The VPC."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from infra.settings.base import Group


class NetworkSettings(Group):
    """The VPC."""

    cidr: str = Field(
        "10.40.0.0/16", description="Address range of the VPC.", pattern=r"^\d+\.\d+\.\d+\.\d+/(1[6-9]|2[0-4])$"
    )
    availability_zones: tuple[str, ...] = Field(
        (),
        description="Zones to use; empty means zones a and b of the region. Synthesis makes no look-up.",
        max_length=4,
    )
    layout: Literal["public", "private"] = Field(
        "public",
        description="`public`: tasks in public subnets, closed by security groups, no NAT. `private`: private subnets.",
    )
    nat_gateways: int = Field(0, description="NAT gateways; used by layout `private` only.", ge=0, le=4)
    interface_endpoints: tuple[
        Literal["sagemaker-runtime", "sqs", "secretsmanager", "logs", "ecr.api", "ecr.dkr"], ...
    ] = Field((), description="AWS services reached through interface endpoints, each paid by the hour and zone.")
    flow_logs: bool = Field(False, description="Record the VPC's traffic in CloudWatch Logs.")
