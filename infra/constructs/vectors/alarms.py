"""Alarms on the stage's own vector store.

They are part of its caller's stack, so that a vector stack that is kept for its data keeps no alarms.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.monitoring.alarms import Alarms

SECTION = "vector-store"
DISK_PERCENT = 80


class VectorAlarms(Alarms):
    """Three alarms: the machine's status check, a full or silent store, a missing backup."""

    def __init__(
        self, scope: Construct, construct_id: str, *, topic: sns.ITopic, group_name: str, namespace: str, stage: str
    ) -> None:
        super().__init__(scope, construct_id, topic=topic)
        own = {"Stage": stage}
        status = cloudwatch.Metric(
            namespace="AWS/EC2",
            metric_name="StatusCheckFailed",
            dimensions_map={"AutoScalingGroupName": group_name},
            statistic="Maximum",
            period=cdk.Duration.minutes(5),
        )
        self.alarm("MachineFailed", status, "The vector store's machine fails its status check.", SECTION, periods=2)
        disk = cloudwatch.Metric(
            namespace=namespace,
            metric_name="VectorDiskUsed",
            dimensions_map=own,
            statistic="Maximum",
            period=cdk.Duration.minutes(15),
        )
        self.alarm(
            "DiskFullOrSilent",
            disk,
            f"The vector store's volume is fuller than {DISK_PERCENT} %, or Qdrant does not answer.",
            SECTION,
            periods=2,
            threshold=DISK_PERCENT,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        backups = cloudwatch.Metric(
            namespace=namespace,
            metric_name="VectorBackups",
            dimensions_map=own,
            statistic="SampleCount",
            period=cdk.Duration.hours(6),
        )
        self.alarm(
            "NoBackup",
            backups,
            "The vector store was not backed up for more than a day.",
            SECTION,
            # 30 hours: longer than a day, because a backup may start a few minutes later than the day before.
            periods=5,
            threshold=1,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
