"""The stage's own bucket of documents: what its ingest reads when the settings name a folder and no bucket."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge


class DocumentsBucket(Construct):
    """Private, encrypted, TLS only; `twin deploy` copies the folder into it, and `twin delete` empties it."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        acknowledge(self.bucket, "AwsSolutions-S1", "It holds copies of a folder, which one task of the stage reads.")
