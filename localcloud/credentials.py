"""The credentials file of a local cloud: `.local/aws-credentials`, in the format of the AWS SDKs and command line.

The supervisor writes it at the first start, readable by its user alone, and keeps it over restarts, so that a shell
which names it in `AWS_SHARED_CREDENTIALS_FILE` goes on working. Delete the file for a new key at the next start.
Source of the format: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html.
"""

from __future__ import annotations

import configparser
import os
from pathlib import Path

from localcloud.account import Credentials, new_credentials
from localcloud.errors import LocalCloudError

_SECTION = "default"


def credentials_path(root: Path) -> Path:
    """Path of the credentials file of the local cloud in `root`."""
    return root / ".local" / "aws-credentials"


def read_credentials(root: Path) -> Credentials:
    """The key of the local cloud in `root`.

    Raises:
        LocalCloudError: the file is not there or damaged; the message names it and holds nothing of it.
    """
    path = credentials_path(root)
    parser = configparser.RawConfigParser()
    try:
        with path.open() as file:
            parser.read_file(file)
        found = parser[_SECTION]
        return Credentials(found["aws_access_key_id"], found["aws_secret_access_key"])
    except FileNotFoundError:
        raise LocalCloudError(f"{path} is missing: run `make local-stop`, then start again.") from None
    except (configparser.Error, KeyError, UnicodeDecodeError):
        raise LocalCloudError(
            f"{path} is not a credentials file: delete it, run `make local-stop`, then start again."
        ) from None


def keep_credentials(root: Path) -> Credentials:
    """The key of the local cloud in `root`, which gets a random one at its first start.

    Raises:
        LocalCloudError: the file is damaged.
    """
    path = credentials_path(root)
    if path.exists():
        path.chmod(0o600)
        return read_credentials(root)
    made = new_credentials()
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(
            f"[{_SECTION}]\naws_access_key_id = {made.access_key_id}\n"
            f"aws_secret_access_key = {made.secret_access_key}\n"
        )
    scratch.replace(path)
    return made
