"""Account, region and credentials of the emulated AWS.

Account and region are MiniStack's defaults (`MINISTACK_ACCOUNT_ID`, `MINISTACK_REGION`). It takes any credentials; an
access key of twelve digits, or that of an assumed role, would select another account.
"""

from __future__ import annotations

from typing import Final

ACCOUNT_ID: Final = "000000000000"
REGION: Final = "us-east-1"
ACCESS_KEY: Final = "test"

CLIENT_ARGUMENTS: Final = {
    "region_name": REGION,
    "aws_access_key_id": ACCESS_KEY,
    "aws_secret_access_key": ACCESS_KEY,
}
"""Arguments of a boto3 client; `endpoint_url` is the caller's."""
CREDENTIAL_VARIABLES: Final = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Environment of a process that calls the emulator; without the last one, SDKs wait for an EC2 metadata service."""
