"""The bucket of the daily backups."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge

FOLDER = "daily/"


class VectorBackups(Construct):
    """Encrypted, closed to the public and to plain HTTP; backups expire after `days`."""

    def __init__(self, scope: Construct, construct_id: str, *, days: int, removal: cdk.RemovalPolicy) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    prefix=FOLDER,
                    expiration=cdk.Duration.days(days),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
            removal_policy=removal,
        )
        acknowledge(
            self.bucket,
            "AwsSolutions-S1",
            "Only the store's machine writes here; an access log would be one more bucket to keep and to empty.",
        )
