"""Sessions of roles end after their DurationSeconds on the local cloud's clock, in AWS's words by protocol."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.aws import KEYS
from tests.github_tokens import ISSUER, claims, token
from tests.integration.emulator.conftest import Emulator, running

FACTOR = 900
"""An hour takes 4 s, the shortest session 1 s."""
ACCOUNT = "000000000000"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER.removeprefix('https://')}"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity"},
    ],
}
ASSUMES = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
EXPIRED = "The security token included in the request is expired"
REFUSALS = {
    "sts": ("get_caller_identity", {}, "ExpiredToken", EXPIRED),
    "cloudformation": ("describe_stacks", {}, "ExpiredToken", EXPIRED),
    "iam": ("list_roles", {}, "ExpiredToken", EXPIRED),
    "sqs": ("list_queues", {}, "ExpiredToken", EXPIRED),
    "sagemaker": ("list_endpoints", {}, "ExpiredTokenException", EXPIRED),
    "secretsmanager": ("list_secrets", {}, "ExpiredTokenException", EXPIRED),
    "ecs": ("list_clusters", {}, "ExpiredTokenException", EXPIRED),
    "lambda": ("list_functions", {}, "ExpiredTokenException", EXPIRED),
    "s3": ("list_objects_v2", {"Bucket": "none-such"}, "ExpiredToken", "The provided token has expired."),
    "ec2": ("describe_vpcs", {}, "RequestExpired", "Request has expired."),
}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("emulator"), LOCALCLOUD_TIME_FACTOR=str(FACTOR)) as started:
        iam = started.client("iam")
        iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])
        for name, longest in (("hour", 3600), ("day", 43200)):
            document = json.dumps(TRUST)
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, MaxSessionDuration=longest)
            iam.put_role_policy(RoleName=name, PolicyName="chain", PolicyDocument=json.dumps(ASSUMES))
        yield started


def client(emulator: Emulator, service: str, session: Any = None) -> Any:
    """A client that signs with the session, or with the root key."""
    keys = (
        KEYS
        if session is None
        else {
            "aws_access_key_id": session["AccessKeyId"],
            "aws_secret_access_key": session["SecretAccessKey"],
            "aws_session_token": session["SessionToken"],
        }
    )
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client(service, endpoint_url=emulator.url, region_name="us-east-1", config=config, **keys)


def assume(emulator: Emulator, role: str, session: Any = None, **more: Any) -> Any:
    """Credentials of a session of the role."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    return client(emulator, "sts", session).assume_role(RoleArn=arn, RoleSessionName="job", **more)["Credentials"]


def by_token(emulator: Emulator, role: str, **more: Any) -> Any:
    """Credentials of a session for the token of another issuer."""
    arn, job = f"arn:aws:iam::{ACCOUNT}:role/{role}", token(claims("deploy", "production"))
    exchange = {"RoleArn": arn, "RoleSessionName": "job", "WebIdentityToken": job}
    return client(emulator, "sts").assume_role_with_web_identity(**exchange, **more)["Credentials"]


@pytest.mark.parametrize("begin", [assume, by_token])
def test_what_an_ended_session_signs_is_refused_in_each_protocols_words(quick: Emulator, begin: Any) -> None:
    began = datetime.now(UTC)
    session = begin(quick, "hour", DurationSeconds=900)
    client(quick, "sts", session).get_caller_identity()
    assert 0 <= (session["Expiration"] - began).total_seconds() <= 3
    time.sleep(1.5)
    # Another session begins, which must not make the ended one unknown.
    begin(quick, "hour")
    for service, (operation, arguments, code, message) in REFUSALS.items():
        with pytest.raises(ClientError) as raised:
            getattr(client(quick, service, session), operation)(**arguments)
        error = raised.value.response["Error"]
        assert (service, error["Code"], error["Message"]) == (service, code, message)


def test_a_session_lasts_an_hour_unless_it_asks_for_more(quick: Emulator) -> None:
    hour, longer = assume(quick, "day"), by_token(quick, "day", DurationSeconds=7200)
    time.sleep(2)
    client(quick, "sts", hour).get_caller_identity()
    time.sleep(2.5)
    with pytest.raises(ClientError, match="ExpiredToken"):
        client(quick, "sts", hour).get_caller_identity()
    client(quick, "sts", longer).get_caller_identity()


def test_a_chained_role_has_one_hour_at_most(quick: Emulator) -> None:
    job = by_token(quick, "day", DurationSeconds=43200)
    with pytest.raises(ClientError) as raised:
        assume(quick, "day", job, DurationSeconds=3601)
    assert raised.value.response["Error"]["Code"] == "ValidationError"
    assert "exceeds the 1 hour session limit for roles assumed by role chaining" in str(raised.value)
    chained = assume(quick, "day", job, DurationSeconds=3600)
    client(quick, "sts", chained).get_caller_identity()
    time.sleep(4.5)
    client(quick, "sts", job).get_caller_identity()
    with pytest.raises(ClientError, match="ExpiredToken"):
        client(quick, "sts", chained).get_caller_identity()


@pytest.mark.parametrize("begin", [assume, by_token])
def test_no_session_is_longer_than_its_role_allows(quick: Emulator, begin: Any) -> None:
    begin(quick, "hour", DurationSeconds=3600)
    with pytest.raises(ClientError) as raised:
        begin(quick, "hour", DurationSeconds=3601)
    assert raised.value.response["Error"]["Code"] == "ValidationError"
    assert "exceeds the MaxSessionDuration set for this role" in str(raised.value)
