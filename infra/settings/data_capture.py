"""SageMaker's capture of requests and answers, and the forms of what it names."""

from __future__ import annotations

from pydantic import Field

from infra.settings.base import Group

BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
KMS_KEY_ARN = r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+$"


class DataCapture(Group):
    """SageMaker's data capture: copies of requests and answers."""

    bucket: str = Field(description="Bucket in the stage's region, which must exist.", pattern=BUCKET)
    percentage: int = Field(10, description="Share of the requests, in percent.", ge=1, le=100)
    kms_key_arn: str | None = Field(
        None, description="KMS key of the files; empty: the bucket's own.", pattern=KMS_KEY_ARN
    )
