"""What only looks like the stage's survives its deletion byte for byte: other stages' and strangers' things.

Report of such a deletion: https://github.com/awslabs/aws-orbit-workbench/issues/909
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.delete.conftest import STAGE, TAGS, Cloud, holding
from twin.delete.delete import delete
from twin.delete.plan import removals
from twin.inventory.survivors import survivors
from twin.target.errors import TwinError

NEIGHBOUR = [TAGS[0], {"Key": "stage", "Value": f"{STAGE}-eu"}]
STRANGER = [{"Key": "owner", "Value": "marketing"}]
OTHER_PROJECT = [{"Key": "project", "Value": "shop"}]

BUCKETS = {
    # What `twin model stage` makes before the neighbour has a stack.
    f"twin-{STAGE}-eu-weights-000000000000-us-east-1": NEIGHBOUR,
    f"twin-{STAGE}-photos": STRANGER,
    f"twin-{STAGE}-llm-photos": STRANGER,
    f"twin-{STAGE}-weights-backup": [],
    # The exact form of the stage's own, in the hands of another.
    f"twin-{STAGE}-weights-000000000000-eu-west-1": OTHER_PROJECT,
}
SECRETS = {f"twin-{STAGE}-eu/hub-token": NEIGHBOUR, f"twin-{STAGE}-photos": STRANGER}
LOG_GROUPS = {
    f"/apps/twin-{STAGE}-eu-tools": [],
    f"/apps/twin-{STAGE}-llm": STRANGER,
    f"/aws/lambda/twin-{STAGE}-eu-evaluation-Collect1": NEIGHBOUR,
}
REPOSITORIES = {
    f"twin-{STAGE}-eu-images": NEIGHBOUR,
    f"twin-{STAGE}-tools": [],
    # Looks like one that CloudFormation named.
    f"twin-{STAGE}-llm-images1a2b3c4d-x7k2p9q4m1zt": NEIGHBOUR,
}
PARAMETERS = (f"/twin/{STAGE}-eu/evaluation/watermark", f"/apps/twin-{STAGE}-llm")
ALARMS = (f"twin-{STAGE}-eu-evaluation-Groundedness1", f"twin-{STAGE}-photos-full")


def _plain(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _lay(client: Any) -> None:
    s3 = client("s3")
    for name, tags in BUCKETS.items():
        where = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}} if name.endswith("west-1") else {}
        s3.create_bucket(Bucket=name, **where)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        if tags:
            s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
        for body in (b"first", b"second"):
            s3.put_object(Bucket=name, Key="weights", Body=body)
    for name, tags in SECRETS.items():
        client("secretsmanager").create_secret(Name=name, SecretString=name, Tags=tags)
    for name, tags in LOG_GROUPS.items():
        client("logs").create_log_group(logGroupName=name, **({"tags": _plain(tags)} if tags else {}))
    for name, tags in REPOSITORIES.items():
        client("ecr").create_repository(repositoryName=name, tags=tags)
    for name in PARAMETERS:
        client("ssm").put_parameter(Name=name, Value=name, Type="String")
    for name in ALARMS:
        client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace="Shop",
            MetricName="Full",
            Period=60,
            EvaluationPeriods=1,
            Statistic="Sum",
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )


def _bait(client: Any) -> dict[str, Any]:
    """Everything of the bait that exists, with its contents."""
    s3 = client("s3")
    found: dict[str, Any] = {}
    for bucket in s3.list_buckets()["Buckets"]:
        if (name := bucket["Name"]) in BUCKETS:
            versions = s3.list_object_versions(Bucket=name).get("Versions", ())
            bodies = [
                s3.get_object(Bucket=name, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
                for each in versions
            ]
            found[f"bucket {name}"] = sorted(bodies)
    for secret in client("secretsmanager").list_secrets()["SecretList"]:
        name = secret["Name"]
        found[f"secret {name}"] = client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    logs = client("logs").get_paginator("describe_log_groups").paginate()
    found |= {f"logs {group['logGroupName']}": True for page in logs for group in page["logGroups"]}
    found |= {
        f"images {each['repositoryName']}": True for each in client("ecr").describe_repositories()["repositories"]
    }
    for name in PARAMETERS:
        found[f"parameter {name}"] = client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    alarms = client("cloudwatch").describe_alarms()["MetricAlarms"]
    return found | {f"alarm {alarm['AlarmName']}": alarm["Threshold"] for alarm in alarms}


@pytest.fixture
def bait(cloud: Cloud) -> dict[str, Any]:
    client = cloud.emulator.client
    _lay(client)
    laid = _bait(client)
    assert len(laid) == sum(map(len, (BUCKETS, SECRETS, LOG_GROUPS, REPOSITORIES, PARAMETERS, ALARMS)))
    return laid


def test_what_only_looks_like_the_stages_survives_its_deletion(cloud: Cloud, bait: dict[str, Any]) -> None:
    own = f"twin-{STAGE}-weights-000000000000-us-east-1"
    s3 = cloud.emulator.client("s3")
    s3.create_bucket(Bucket=own)
    s3.put_object(Bucket=own, Key="weights", Body=b"own")
    late = f"/aws/lambda/twin-{STAGE}-evaluation-Collect1"
    cloud.emulator.client("logs").create_log_group(logGroupName=late)
    assert {found.name for found in survivors(cloud.stage)} == {own, late}
    assert {found.name for found in removals(cloud.stage)} == {own, late}
    assert delete(cloud.stage, lambda line: None) == []
    assert _bait(cloud.emulator.client) == bait


PLAIN = holding(Bucket={"Type": "AWS::S3::Bucket"})


def test_a_protected_stack_stops_the_deletion_before_anything_is_removed(cloud: Cloud) -> None:
    client, s3 = cloud.cloudformation, cloud.emulator.client("s3")
    assert cloud.create("vectors", PLAIN) == "CREATE_COMPLETE"
    assert cloud.create("guard", PLAIN) == "CREATE_COMPLETE"
    bucket = cloud.physical_ids("vectors")["Bucket"]
    s3.put_object(Bucket=bucket, Key="snapshot", Body=b"points")
    client.update_termination_protection(StackName=cloud.name("guard"), EnableTerminationProtection=True)
    for change in (lambda: delete(cloud.stage, lambda line: None), lambda: removals(cloud.stage)):
        with pytest.raises(TwinError, match=r"twin-local-guard is protected.*nothing was removed"):
            change()
    assert s3.get_object(Bucket=bucket, Key="snapshot")["Body"].read() == b"points"
    assert cloud.status("vectors") == "CREATE_COMPLETE"
    client.update_termination_protection(StackName=cloud.name("guard"), EnableTerminationProtection=False)
    assert delete(cloud.stage, lambda line: None) == []
