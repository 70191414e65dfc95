"""Whose calls the emulator takes: of its own key, of keys that its IAM and STS made, and what AWS serves unsigned."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.aws import KEYS
from tests.github_tokens import token
from tests.integration.emulator.cases import ROLE
from tests.integration.emulator.conftest import ROOT, Aws, Emulator, command, eventually
from tests.integration.emulator.functions import deploy, make_role

ACCOUNT = "000000000000"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def caller(emulator: Emulator, service: str = "sts", **keys: str) -> Any:
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client(service, endpoint_url=emulator.url, region_name="us-east-1", config=config, **{**KEYS, **keys})


def refusal(client: Any) -> str:
    """Code of the error that GetCallerIdentity of this client is answered with."""
    with pytest.raises(ClientError) as raised:
        client.get_caller_identity()
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return str(raised.value.response["Error"]["Code"])


@pytest.mark.parametrize("key", ["test", "AKIA" + "A" * 16, ACCOUNT, "123456789012"])
def test_a_key_that_everybody_knows_or_guesses_is_refused(emulator: Emulator, key: str) -> None:
    expected = "SignatureDoesNotMatch" if key == ACCOUNT else "InvalidClientTokenId"
    assert refusal(caller(emulator, aws_access_key_id=key, aws_secret_access_key="test")) == expected


def test_the_root_key_needs_its_secret_and_is_of_the_one_account(emulator: Emulator) -> None:
    identity = caller(emulator).get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
    assert refusal(caller(emulator, aws_secret_access_key="test")) == "SignatureDoesNotMatch"


def test_a_users_key_works_while_it_is_active(emulator: Emulator, aws: Aws) -> None:
    iam = aws("iam")
    iam.create_user(UserName="ada")
    made = iam.create_access_key(UserName="ada")["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    assert caller(emulator, **keys).get_caller_identity()["Arn"].endswith("user/ada")
    assert refusal(caller(emulator, **{**keys, "aws_secret_access_key": "test"})) == "SignatureDoesNotMatch"
    iam.update_access_key(UserName="ada", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    assert refusal(caller(emulator, **keys)) == "InvalidClientTokenId"
    iam.delete_access_key(UserName="ada", AccessKeyId=made["AccessKeyId"])
    assert refusal(caller(emulator, **keys)) == "InvalidClientTokenId"
    iam.delete_user(UserName="ada")


def test_a_roles_session_works_with_its_token_in_every_service(emulator: Emulator, aws: Aws) -> None:
    make_role(aws("iam"))
    reads = {"Effect": "Allow", "Action": ["sqs:ListQueues", "s3:ListAllMyBuckets"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [reads]})
    aws("iam").put_role_policy(RoleName=ROLE.rpartition("/")[2], PolicyName="reads", PolicyDocument=document)
    made = aws("sts").assume_role(RoleArn=ROLE, RoleSessionName="one")["Credentials"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    session = {**keys, "aws_session_token": made["SessionToken"]}
    assert "assumed-role" in caller(emulator, **session).get_caller_identity()["Arn"]
    assert caller(emulator, "sqs", **session).list_queues(QueueNamePrefix="none-such")["QueueUrls"] == []
    caller(emulator, "s3", **session).list_buckets()
    assert refusal(caller(emulator, **keys)) == "InvalidClientTokenId"
    assert refusal(caller(emulator, **{**session, "aws_session_token": "other"})) == "InvalidClientTokenId"


def test_a_function_calls_aws_with_what_the_platform_gives_it(aws: Aws) -> None:
    source = """
        import boto3
        def handler(event, context):
            return boto3.client("sts").get_caller_identity()["Account"]
    """
    deploy(aws("lambda"), "who-am-i", source)
    eventually(
        lambda: aws("lambda").get_function(FunctionName="who-am-i")["Configuration"]["State"] == "Active", "not active"
    )
    answer = aws("lambda").invoke(FunctionName="who-am-i")
    assert json.loads(answer["Payload"].read()) == ACCOUNT
    aws("lambda").delete_function(FunctionName="who-am-i")


def test_a_presigned_address_of_s3_is_taken(emulator: Emulator, aws: Aws) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="presigned")
    s3.put_object(Bucket="presigned", Key="a b.txt", Body=b"text")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "presigned", "Key": "a b.txt"})
    assert httpx.get(url, trust_env=False).text == "text"
    plain = httpx.get(url.partition("?")[0], trust_env=False)
    assert plain.status_code == 403 and "<Code>AccessDenied</Code>" in plain.text
    s3.delete_object(Bucket="presigned", Key="a b.txt")
    s3.delete_bucket(Bucket="presigned")


def test_who_has_a_token_of_another_issuer_needs_no_key(emulator: Emulator, aws: Aws) -> None:
    make_role(aws("iam"), Federated=f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example")
    given = token({"iss": "https://issuer.example", "aud": "anybody", "sub": "me"})
    exchange = {"RoleArn": ROLE, "RoleSessionName": "one", "WebIdentityToken": given}
    # boto3 does not sign it, so that no credentials are needed.
    assert caller(emulator).assume_role_with_web_identity(**exchange)["Credentials"]["AccessKeyId"].startswith("ASIA")


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/", {}, "Action=CreateQueue&QueueName=unsigned&Version=2012-11-05"),
        ("/", FORM, "Action=CreateQueue&QueueName=unsigned&Version=2012-11-05"),
        ("/?Action=CreateQueue&QueueName=unsigned", FORM, "Action=AssumeRoleWithWebIdentity"),
        ("/", {**FORM, "X-Amz-Target": "AmazonSQS.CreateQueue"}, "Action=AssumeRoleWithWebIdentity"),
        ("/", FORM, "Action=AssumeRoleWithWebIdentity&Action=CreateQueue&QueueName=unsigned"),
        ("/", {"X-Amz-Target": "AmazonSQS.CreateQueue"}, '{"QueueName": "unsigned"}'),
        ("/", {"X-Amz-Target": "SageMaker.LocalcloudSettle"}, "{}"),
        ("/", {"X-Amz-Target": "AmazonSQS.CreateQueue", "Host": "absent.alb.localhost"}, '{"QueueName": "unsigned"}'),
        ("/", {"X-Amz-Target": "AmazonSQS.CreateQueue", "Host": "absent.cloudfront.net"}, '{"QueueName": "unsigned"}'),
        ("/_ministack/config", {}, "{}"),
        ("/_ministack/reset", {}, ""),
        ("/_ministack/health", {}, ""),
        ("/unsigned", {}, ""),
        ("/v2/email/identities", {}, "{}"),
        ("/2015-03-31/functions", {}, "{}"),
    ],
)
def test_other_unsigned_calls_have_no_effect(
    emulator: Emulator, aws: Aws, path: str, headers: dict[str, str], body: str
) -> None:
    kept = _kept_queue(aws)
    answer = httpx.post(emulator.url + path, headers=headers, content=body, trust_env=False)
    assert answer.status_code in (400, 403), answer.text
    assert aws("sqs").list_queues()["QueueUrls"] == [kept]
    aws("sqs").delete_queue(QueueUrl=kept)


def _kept_queue(aws: Aws) -> str:
    """Address of a queue, under a name that none had in the last minute."""
    return str(aws("sqs").create_queue(QueueName=f"kept-{uuid.uuid4()}")["QueueUrl"])


def test_a_load_balancers_traffic_is_no_way_to_the_api(emulator: Emulator, aws: Aws) -> None:
    balancing = aws("elbv2")
    arn = balancing.create_load_balancer(Name="open", Subnets=["subnet-1"])["LoadBalancers"][0]["LoadBalancerArn"]
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418", "MessageBody": "target"}}
    balancing.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[fixed])
    kept = _kept_queue(aws)
    with httpx.Client(base_url=emulator.url, headers={"Host": "open.alb.localhost"}, trust_env=False) as client:
        for path in ("/", "/_ministack/reset", "/_ministack/config", "/v2/email/identities", "/iceberg/v1/config"):
            answer = client.post(
                path, headers={"X-Amz-Target": "AmazonSQS.CreateQueue"}, json={"QueueName": "unsigned"}
            )
            assert (answer.status_code, answer.text) == (418, "target"), path
    assert aws("sqs").list_queues()["QueueUrls"] == [kept]
    aws("sqs").delete_queue(QueueUrl=kept)
    balancing.delete_load_balancer(LoadBalancerArn=arn)


def test_it_does_not_start_without_a_key_nor_take_that_of_the_shell(tmp_path: Path) -> None:
    shell = {**os.environ, "AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "mine"}
    ended = subprocess.run(command(1, tmp_path), cwd=ROOT, env=shell, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "Error: Set LOCALCLOUD_ACCESS_KEY_ID and LOCALCLOUD_SECRET_ACCESS_KEY: the key that callers must sign with."
    ]
