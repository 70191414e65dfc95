"""The bucket of the model's weights: created, inspected, and filled object by object.

Every upload carries SHA-256 checksums, which S3 compares with what arrives; afterwards the object's own checksum is
asked for and compared again. An object keeps the hub's digest of its content as metadata: an object under its final
key was complete and checked when it was created.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from twin.model.hub import HubFile
from twin.model.measure import PART_BYTES, Measured
from twin.target.errors import TwinError
from twin.target.progress import Progress

DIGEST = "hub-digest"
LOCATION_FREE_REGION = "us-east-1"
"""Region in which S3 takes no location for a new bucket."""
ABORT_DAYS = 7


@dataclass(frozen=True)
class Stored:
    """An object as S3 describes it.

    Attributes:
        digest: the hub's digest of the content; empty for an object that was not staged.
        checksum: ChecksumSHA256; empty when it was uploaded without.
    """

    size: int
    digest: str
    checksum: str


@dataclass(frozen=True)
class Bucket:
    """One bucket and the key that its objects are encrypted with (S3's own when None)."""

    client: Any
    name: str
    region: str
    kms_key_arn: str | None = None
    part_bytes: int = PART_BYTES

    def exists(self, owner: str) -> bool:
        """Whether the bucket is there.

        Raises:
            TwinError: when it belongs to another account than `owner`, or may not be looked at.
        """
        try:
            self.client.head_bucket(Bucket=self.name, ExpectedBucketOwner=owner)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 404:
                return False
            if status in (301, 400, 403):
                raise TwinError(
                    f"Bucket {self.name} is not usable from here ({status}): it belongs to another account or region, "
                    "or s3:ListBucket is not allowed."
                ) from None
            raise
        return True

    def create(self, tags: Mapping[str, str]) -> None:
        """Create the bucket where it is missing: encrypted, closed to the public and to plain HTTP, tagged.

        Each step may be repeated, so that an interrupted creation is completed by the next.
        """
        place = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        try:
            self.client.create_bucket(Bucket=self.name, **({} if self.region == LOCATION_FREE_REGION else place))
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                raise
        rule: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        if self.kms_key_arn is not None:
            default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.kms_key_arn}
            rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
        closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3 = self.client
        s3.put_public_access_block(Bucket=self.name, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))
        s3.put_bucket_encryption(Bucket=self.name, ServerSideEncryptionConfiguration={"Rules": [rule]})
        s3.put_bucket_policy(Bucket=self.name, Policy=json.dumps(self._policy()))
        s3.put_bucket_tagging(
            Bucket=self.name, Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}
        )
        s3.put_bucket_lifecycle_configuration(
            Bucket=self.name,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "abandoned-uploads",
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_DAYS},
                    }
                ]
            },
        )

    def describe(self, key: str) -> Stored | None:
        """An object's size and checksums, or None where there is none."""
        try:
            found = self.client.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        digest = found.get("Metadata", {}).get(DIGEST, "")
        return Stored(int(found["ContentLength"]), digest, found.get("ChecksumSHA256", ""))

    def put(self, key: str, file: HubFile, path: Path, measured: Measured, progress: Progress) -> Stored:
        """Upload a measured file; parts that an earlier run uploaded are not sent again.

        Raises:
            TwinError: when what S3 then holds is not what was sent.
        """
        if len(measured.parts) == 1:
            self.client.put_object(
                Bucket=self.name,
                Key=key,
                Body=path.read_bytes(),
                ChecksumSHA256=measured.checksum,
                Metadata={DIGEST: file.digest},
                **self._encryption(),
            )
        else:
            self._put_parts(key, file, path, measured, progress)
        stored = self.describe(key)
        expected = Stored(file.size, file.digest, measured.checksum)
        if stored != expected:
            self.client.delete_object(Bucket=self.name, Key=key)
            raise TwinError(f"s3://{self.name}/{key} came out otherwise than it went in and was removed: {stored}.")
        return expected

    def read_json(self, key: str) -> dict[str, Any] | None:
        """A small document, or None where there is none."""
        try:
            body = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None
        found = json.loads(body)
        return found if isinstance(found, dict) else None

    def write_json(self, key: str, document: Mapping[str, Any]) -> None:
        """Write a small document."""
        body = json.dumps(document, indent=1).encode()
        self.client.put_object(
            Bucket=self.name,
            Key=key,
            Body=body,
            ContentType="application/json",
            ChecksumAlgorithm="SHA256",
            **self._encryption(),
        )

    def _put_parts(self, key: str, file: HubFile, path: Path, measured: Measured, progress: Progress) -> None:
        upload = (
            self._begun(key)
            or self.client.create_multipart_upload(
                Bucket=self.name,
                Key=key,
                ChecksumAlgorithm="SHA256",
                Metadata={DIGEST: file.digest},
                **self._encryption(),
            )["UploadId"]
        )
        there = self._parts(key, upload)
        done = []
        with path.open("rb") as stream:
            for number, digest in enumerate(measured.parts, 1):
                checksum = base64.b64encode(digest).decode()
                sent = there.get(number, {})
                if sent.get("ChecksumSHA256") != checksum:
                    stream.seek((number - 1) * self.part_bytes)
                    sent = self.client.upload_part(
                        Bucket=self.name,
                        Key=key,
                        UploadId=upload,
                        PartNumber=number,
                        Body=stream.read(self.part_bytes),
                        ChecksumSHA256=checksum,
                    )
                    progress(f"{file.path}: part {number} of {len(measured.parts)} uploaded")
                done.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum})
        self.client.complete_multipart_upload(
            Bucket=self.name, Key=key, UploadId=upload, MultipartUpload={"Parts": done}
        )

    def _begun(self, key: str) -> str | None:
        """The upload of this key that was begun last and never completed."""
        begun = [
            upload
            for page in self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=key)
            for upload in page.get("Uploads", ())
            if upload["Key"] == key
        ]
        return str(max(begun, key=lambda upload: upload["Initiated"])["UploadId"]) if begun else None

    def _parts(self, key: str, upload: str) -> dict[int, Any]:
        pages = self.client.get_paginator("list_parts").paginate(Bucket=self.name, Key=key, UploadId=upload)
        return {part["PartNumber"]: part for page in pages for part in page.get("Parts", ())}

    def _encryption(self) -> dict[str, Any]:
        if self.kms_key_arn is None:
            return {}
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key_arn, "BucketKeyEnabled": True}

    def _policy(self) -> dict[str, Any]:
        arn = f"arn:{self.client.meta.partition}:s3:::{self.name}"
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [arn, f"{arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
