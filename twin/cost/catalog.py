"""Query in AWS's price list (`pricing:GetProducts`) for each price of the table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Query:
    """One product of the price list.

    Attributes:
        service: service code, like `AmazonECS`.
        usage: end of the product's usage type; before it comes only the prefix of a region (`EU-`, `USE1-`).
        unit: the unit that the list must give, so that a price of another measure is never taken.
        filters: further attributes, matched exactly by AWS.
    """

    service: str
    usage: str
    unit: str
    filters: Mapping[str, str] = field(default_factory=dict)

    def matches(self, usage_type: str) -> bool:
        """Whether a product's usage type is this one, in any region."""
        return re.fullmatch(rf"([A-Z]{{2,4}}\d?-)?{re.escape(self.usage)}", usage_type) is not None


MACHINE = {
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "tenancy": "Shared",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
"""Filters for a machine on demand among its other offers; without `marketoption` a capacity block shows it as free."""
BALANCER = {"operation": "LoadBalancing:Application"}

QUERIES: Mapping[str, Query] = {
    "address.hour": Query("AmazonVPC", "PublicIPv4:InUseAddress", "Hrs"),
    "alarm.high-resolution": Query("AmazonCloudWatch", "CW:HighResAlarmMonitorUsage", "Alarms"),
    "alarm.standard": Query("AmazonCloudWatch", "CW:AlarmMonitorUsage", "Alarms"),
    "balancer.hour": Query("AWSELB", "LoadBalancerUsage", "Hrs", BALANCER),
    "balancer.unit": Query("AWSELB", "LCUUsage", "LCU-Hrs", BALANCER),
    "endpoint.data": Query("AmazonVPC", "VpcEndpoint-Bytes", "GB"),
    "endpoint.hour": Query("AmazonVPC", "VpcEndpoint-Hours", "Hrs"),
    "fargate.arm64.memory": Query("AmazonECS", "Fargate-ARM-GB-Hours", "hours"),
    "fargate.arm64.vcpu": Query("AmazonECS", "Fargate-ARM-vCPU-Hours:perCPU", "hours"),
    "fargate.storage": Query("AmazonECS", "Fargate-EphemeralStorage-GB-Hours", "hours"),
    "fargate.x86_64.memory": Query("AmazonECS", "Fargate-GB-Hours", "hours"),
    "fargate.x86_64.vcpu": Query("AmazonECS", "Fargate-vCPU-Hours:perCPU", "hours"),
    "key.month": Query("awskms", "KMS-Keys", "Keys"),
    "lambda.arm64.gb-second": Query("AWSLambda", "Lambda-GB-Second-ARM", "Lambda-GB-Second"),
    "lambda.x86_64.gb-second": Query("AWSLambda", "Lambda-GB-Second", "Lambda-GB-Second"),
    "logs.stored": Query("AmazonCloudWatch", "TimedStorage-ByteHrs", "GB-Mo"),
    "logs.written": Query("AmazonCloudWatch", "DataProcessing-Bytes", "GB"),
    "metric.month": Query("AmazonCloudWatch", "CW:MetricMonitorUsage", "Metrics"),
    "nat.data": Query("AmazonEC2", "NatGateway-Bytes", "GB", {"operation": "NatGateway"}),
    "nat.hour": Query("AmazonEC2", "NatGateway-Hours", "Hrs", {"operation": "NatGateway"}),
    "registry.stored": Query("AmazonECR", "TimedStorage-ByteHrs", "GB-Mo"),
    "secret.call": Query("AWSSecretsManager", "AWSSecretsManagerAPIRequest", "API Requests"),
    "secret.month": Query("AWSSecretsManager", "AWSSecretsManager-Secrets", "Secrets"),
    "volume.gp3": Query("AmazonEC2", "EBS:VolumeUsage.gp3", "GB-Mo"),
}


def query(key: str) -> Query | None:
    """The query for a price, or None where the price list has no row that is known to be the right one."""
    family, _, rest = key.partition(".")
    if family == "sagemaker" and rest.startswith("ml."):
        return Query("AmazonSageMaker", f"Host:{rest}", "Hrs", {"instanceName": rest})
    if family == "machine":
        return Query("AmazonEC2", f"BoxUsage:{rest}", "Hrs", {**MACHINE, "instanceType": rest})
    return QUERIES.get(key)
