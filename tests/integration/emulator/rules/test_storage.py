"""What S3, ECR, Secrets Manager, parameters and queues refuse."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from localcloud.aws_time import DEFAULT_FACTOR
from tests.integration.emulator.cases import ACCOUNT
from tests.integration.emulator.conftest import Aws, Emulator, Stacks, eventually
from tests.integration.emulator.rules.codes import code_of
from tests.integration.emulator.rules.refusals import assert_call_refused, assert_stack_refused, resource


@pytest.mark.parametrize("versioned", [False, True])
def test_a_bucket_that_is_not_empty_is_not_deleted(aws: Aws, stacks: Stacks, versioned: bool) -> None:
    rule, words, s3 = "bucket-not-empty", "The bucket you tried to delete is not empty", aws("s3")
    versioning = {"VersioningConfiguration": {"Status": "Enabled"}} if versioned else {}
    bucket = resource("S3::Bucket", BucketName="rules-full", **versioning)
    assert stacks.create("full", {"Bucket": bucket}) == "CREATE_COMPLETE"
    s3.put_object(Bucket="rules-full", Key="a", Body=b"x")
    if versioned:
        # What is left is a version and the marker of its deletion.
        s3.delete_object(Bucket="rules-full", Key="a")
    assert_call_refused(rule, words, s3.delete_bucket, Bucket="rules-full")
    aws("cloudformation").delete_stack(StackName="full")
    assert stacks.settled("full") == "DELETE_FAILED"
    assert any(words in reason for reason in stacks.failures("full"))
    for version in s3.list_object_versions(Bucket="rules-full").get("Versions", [{"Key": "a", "VersionId": "null"}]):
        s3.delete_object(Bucket="rules-full", Key=version["Key"], VersionId=version["VersionId"])
    for marker in s3.list_object_versions(Bucket="rules-full").get("DeleteMarkers", ()):
        s3.delete_object(Bucket="rules-full", Key=marker["Key"], VersionId=marker["VersionId"])
    stacks.delete("full")


def test_the_name_of_a_bucket_is_taken(aws: Aws, stacks: Stacks, emulator: Emulator) -> None:
    assert code_of("bucket-exists") == "AlreadyExists"
    aws("s3").create_bucket(Bucket="rules-taken")
    bucket = {"Bucket": resource("S3::Bucket", BucketName="rules-taken")}
    assert stacks.create("taken", bucket) == "ROLLBACK_COMPLETE"
    events = aws("cloudformation").describe_events(StackName="taken")["OperationEvents"]
    assert "with identifier 'rules-taken' already exists" in json.dumps(events, default=str)
    stacks.delete("taken")
    elsewhere = emulator.client("s3", "eu-west-1")
    placed: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    elsewhere.create_bucket(Bucket="rules-mine", **placed)
    words, create = "you already own it", elsewhere.create_bucket
    assert_call_refused("bucket-owned-by-you", words, create, Bucket="rules-mine", **placed)


def test_a_repository_with_images_is_not_deleted(aws: Aws, stacks: Stacks) -> None:
    rule, ecr = "repository-not-empty", aws("ecr")
    words = f"'rules/full' in registry with id '{ACCOUNT}' cannot be deleted because it still contains images"
    assert stacks.create("full-repository", {"Images": resource("ECR::Repository", RepositoryName="rules/full")})
    ecr.put_image(repositoryName="rules/full", imageManifest="{}", imageTag="v1")
    assert_call_refused(rule, words, ecr.delete_repository, repositoryName="rules/full")
    aws("cloudformation").delete_stack(StackName="full-repository")
    assert stacks.settled("full-repository") == "DELETE_FAILED"
    assert any(words in reason for reason in stacks.failures("full-repository"))
    ecr.delete_repository(repositoryName="rules/full", force=True)
    stacks.delete("full-repository")


def test_an_immutable_tag_stays_with_its_image(aws: Aws) -> None:
    rule, ecr = "image-tag-immutable", aws("ecr")
    ecr.create_repository(repositoryName="rules/immutable", imageTagMutability="IMMUTABLE")
    ecr.create_repository(repositoryName="rules/mutable")
    words = "The image tag 'v1' already exists in the 'rules/immutable' repository and cannot be overwritten"
    for name in ("rules/immutable", "rules/mutable"):
        ecr.put_image(repositoryName=name, imageManifest="{}", imageTag="v1")
    again: dict[str, Any] = {"imageManifest": '{"a": 1}', "imageTag": "v1"}
    ecr.put_image(repositoryName="rules/mutable", **again)
    assert_call_refused(rule, words, ecr.put_image, repositoryName="rules/immutable", **again)


def test_a_secret_has_65536_bytes(aws: Aws) -> None:
    rule, words, client = "secret-size", "less than or equal to 65536", aws("secretsmanager")
    long = "x" * 65_537
    client.create_secret(Name="rules-long", SecretString=long[1:])
    assert_call_refused(rule, words, client.create_secret, Name="rules-longer", SecretString=long)
    assert_call_refused(rule, words, client.put_secret_value, SecretId="rules-long", SecretString=long)
    assert_call_refused(rule, words, client.update_secret, SecretId="rules-long", SecretString=long)
    assert_call_refused(rule, words, client.put_secret_value, SecretId="rules-long", SecretString="ä" * 40_000)


def test_a_parameter_is_not_overwritten_by_chance(aws: Aws, stacks: Stacks) -> None:
    rule, words, ssm = "parameter-exists", "The parameter already exists.", aws("ssm")
    ssm.put_parameter(Name="/rules/there", Value="kept", Type="String")
    other: dict[str, Any] = {"Name": "/rules/there", "Value": "other", "Type": "String"}
    assert_call_refused(rule, words, ssm.put_parameter, **other)
    assert_stack_refused(stacks, rule, words, Parameter=resource("SSM::Parameter", **other))
    assert ssm.get_parameter(Name="/rules/there")["Parameter"]["Value"] == "kept"


def test_a_standard_parameter_has_4096_bytes(aws: Aws, stacks: Stacks) -> None:
    rule, words, ssm = "parameter-size", "a maximum parameter value of 4096 characters", aws("ssm")
    long: dict[str, Any] = {"Name": "/rules/long", "Value": "x" * 4097, "Type": "String"}
    assert_call_refused(rule, words, ssm.put_parameter, **long)
    assert_stack_refused(stacks, rule, words, Parameter=resource("SSM::Parameter", **long))
    ssm.put_parameter(Tier="Advanced", **long)


def test_the_name_of_a_deleted_queue_is_taken_for_a_minute(aws: Aws, stacks: Stacks) -> None:
    rule, words, sqs = "queue-deleted-recently", "You must wait 60 seconds after deleting a queue", aws("sqs")
    assert stacks.create("first-queue", {"Queue": resource("SQS::Queue", QueueName="rules-gone")}) == "CREATE_COMPLETE"
    stacks.delete("first-queue")
    deleted = time.monotonic()
    assert_call_refused(rule, words, sqs.create_queue, QueueName="rules-gone")
    assert_stack_refused(stacks, rule, words, Queue=resource("SQS::Queue", QueueName="rules-gone"))
    url = sqs.create_queue(QueueName="rules-other")["QueueUrl"]
    sqs.delete_queue(QueueUrl=url)
    assert_call_refused(rule, words, sqs.create_queue, QueueName="rules-other")
    time.sleep(max(0.0, 60 / DEFAULT_FACTOR - (time.monotonic() - deleted)))
    url = eventually(lambda: sqs.create_queue(QueueName="rules-gone")["QueueUrl"], "the name is still taken")
    sqs.delete_queue(QueueUrl=url)
