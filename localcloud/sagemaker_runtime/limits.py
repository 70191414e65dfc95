"""Limits of the runtime, and the account and region that its messages name."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.account import ACCOUNT_ID, REGION


@dataclass(frozen=True)
class RuntimeLimits:
    """Limits of one runtime.

    Attributes:
        max_body_bytes: largest request body. 25 MB: "Payload size for invocations", Amazon SageMaker AI quotas.
        max_attributes_chars: longest custom attributes, of visible ASCII. 1,024: CustomAttributes of InvokeEndpoint in
            the API reference and in botocore's model.
        response_seconds: time within which a container must answer (its headers when it streams). 60 s: InvokeEndpoint
            in the API reference, "model containers must respond to requests within 60 seconds".
        stream_seconds: time within which a stream must end. 8 minutes: Amazon SageMaker AI quotas for response streams.
        connect_seconds: time for the TCP connection to a container on this machine.
        max_concurrent: invocations that one endpoint serves at a time; more are throttled. None sets no limit.
    """

    max_body_bytes: int = 25 * 1024 * 1024
    max_attributes_chars: int = 1024
    response_seconds: float = 60.0
    stream_seconds: float = 480.0
    connect_seconds: float = 2.0
    max_concurrent: int | None = None


@dataclass(frozen=True)
class AccountIdentity:
    """Account and region as they appear in messages and ARNs."""

    account_id: str = ACCOUNT_ID
    region: str = REGION
