"""Each local cloud has a random key, which its files keep for its user and which no other one takes."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud import lifecycle
from localcloud.account import Credentials
from localcloud.credentials import credentials_path, read_credentials
from localcloud.process import ROOT_MARKER
from tests.aws import KEYS

from .conftest import START_SECONDS, Cloud, running

CALLS = {"aws": ("sts", "get_caller_identity", {}), "sagemaker_runtime": ("sagemaker-runtime", "invoke_endpoint", {})}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(tmp_path_factory.mktemp("other")) as started:
        yield started


def refusal(cloud: Cloud, server: str, keys: Any) -> str:
    """Code of the error that a call with these keys is answered with."""
    service, operation, arguments = CALLS[server]
    if service == "sagemaker-runtime":
        arguments = {"EndpointName": "none-such", "Body": b"{}"}
    url = f"http://127.0.0.1:{cloud.state().ports[server]}"
    config = Config(retries={"total_max_attempts": 1})
    client: Any = boto3.client(service, endpoint_url=url, region_name="us-east-1", config=config, **keys)
    try:
        getattr(client, operation)(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def keys_of(credentials: Credentials) -> dict[str, str]:
    return {
        "aws_access_key_id": credentials.access_key_id,
        "aws_secret_access_key": credentials.secret_access_key,
    }


def test_two_local_clouds_have_different_keys_and_refuse_each_others(cloud: Cloud, other: Cloud) -> None:
    mine, theirs = read_credentials(cloud.root), read_credentials(other.root)
    assert mine.access_key_id != theirs.access_key_id and mine.secret_access_key != theirs.secret_access_key
    for there, own, foreign in ((cloud, mine, theirs), (other, theirs, mine)):
        assert refusal(there, "aws", keys_of(own)) == ""
        assert refusal(there, "aws", keys_of(foreign)) == "InvalidClientTokenId"
        # Taken: the endpoint is what is missing.
        assert refusal(there, "sagemaker_runtime", keys_of(own)) == "ValidationError"
        assert refusal(there, "sagemaker_runtime", keys_of(foreign)) == "UnrecognizedClientException"


@pytest.mark.parametrize("keys", [dict.fromkeys(KEYS, "test"), KEYS], ids=["test", "of-the-tests"])
def test_no_key_that_is_known_elsewhere_is_taken(cloud: Cloud, keys: Any) -> None:
    assert refusal(cloud, "aws", keys) == "InvalidClientTokenId"
    assert refusal(cloud, "sagemaker_runtime", keys) == "UnrecognizedClientException"


def test_the_file_is_the_users_and_an_sdk_reads_it(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    path = credentials_path(cloud.root)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = read_credentials(cloud.root)
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", key.access_key_id) and len(key.secret_access_key) == 40
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    found: Any = boto3.Session().get_credentials()
    assert (found.access_key, found.secret_key) == (key.access_key_id, key.secret_access_key)


def test_the_secret_is_in_no_command_line_no_log_and_not_in_the_state(cloud: Cloud) -> None:
    secret = read_credentials(cloud.root).secret_access_key
    refusal(cloud, "aws", {**keys_of(read_credentials(cloud.root)), "aws_secret_access_key": "wrong"})
    holding = [path for path in _files(cloud.root) if secret.encode() in path.read_bytes()]
    assert holding == [credentials_path(cloud.root)]
    ours = [process for process in psutil.process_iter() if _is_of(process, cloud.root)]
    assert ours and not [process for process in ours if secret in " ".join(process.cmdline())]
    # Only the emulator gets it: the servers of Opik, Qdrant and Slack have no use for it.
    knowing = [" ".join(process.cmdline()) for process in ours if secret in process.environ().values()]
    assert knowing and all("localcloud.emulator" in line for line in knowing)


def test_a_restart_keeps_the_key_and_a_deleted_file_gives_a_new_one(other: Cloud) -> None:
    before = read_credentials(other.root)
    lifecycle.stop(other.root)
    lifecycle.start(other.root, START_SECONDS)
    assert read_credentials(other.root) == before
    assert refusal(other, "aws", keys_of(before)) == ""
    lifecycle.stop(other.root)
    credentials_path(other.root).unlink()
    lifecycle.start(other.root, START_SECONDS)
    assert read_credentials(other.root) != before
    assert refusal(other, "aws", keys_of(before)) == "InvalidClientTokenId"


def _files(root: Path) -> list[Path]:
    return [path for path in (root / ".local").rglob("*") if path.is_file()]


def _is_of(process: psutil.Process, root: Path) -> bool:
    try:
        return process.environ().get(ROOT_MARKER) == str(root)
    except (psutil.Error, OSError):
        return False
