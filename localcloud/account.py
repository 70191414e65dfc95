"""Account, region and credentials of the emulated AWS.

Account and region are MiniStack's defaults (`MINISTACK_ACCOUNT_ID`, `MINISTACK_REGION`). It takes the account from the
access key where that has twelve digits, so the root key has AWS's form.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from localcloud.errors import LocalCloudError

ACCOUNT_ID: Final = "000000000000"
REGION: Final = "us-east-1"

KEY_VARIABLE: Final = "LOCALCLOUD_ACCESS_KEY_ID"
SECRET_VARIABLE: Final = "LOCALCLOUD_SECRET_ACCESS_KEY"  # noqa: S105 - a name
"""Environment of a server: the root key that it takes. Not AWS's own names, so that no server takes a real key."""
_BASE32: Final = string.ascii_uppercase + "234567"


@dataclass(frozen=True)
class Credentials:
    """The root key of one local cloud. The secret is in no `repr`."""

    access_key_id: str
    secret_access_key: str = field(repr=False)

    def client_arguments(self) -> dict[str, str]:
        """Arguments of a boto3 client; `endpoint_url` is the caller's."""
        return {
            "region_name": REGION,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
        }

    def variables(self) -> dict[str, str]:
        """Environment of a process that calls this AWS; without the last one, SDKs wait for a metadata service."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def server_variables(self) -> dict[str, str]:
        """Environment of a server that takes this key."""
        return {KEY_VARIABLE: self.access_key_id, SECRET_VARIABLE: self.secret_access_key}


def new_credentials() -> Credentials:
    """A random key of AWS's form: `AKIA` and 16 characters of base 32, with a secret of 40 characters (240 bits)."""
    return Credentials("AKIA" + "".join(secrets.choice(_BASE32) for _ in range(16)), secrets.token_urlsafe(30))


def server_credentials(environment: Mapping[str, str]) -> Credentials:
    """The root key that a server's environment gives it.

    Raises:
        LocalCloudError: it gives none.
    """
    found = Credentials(environment.get(KEY_VARIABLE, ""), environment.get(SECRET_VARIABLE, ""))
    if not (found.access_key_id and found.secret_access_key):
        raise LocalCloudError(f"Set {KEY_VARIABLE} and {SECRET_VARIABLE}: the key that callers must sign with.")
    return found
