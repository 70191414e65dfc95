"""Daily snapshots of the vector store's volume, kept by EBS: the whole disk, while the bucket holds points only."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dlm as dlm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge, readable
from infra.names import PROJECT, stage_prefix
from infra.settings.retrieval import HostedVectors

TARGET = "volume-snapshots"
"""Tag of the volume. A policy selects every volume with any of its target tags, so it has a single, unique one."""


class VectorSnapshots(Construct):
    """A policy of Data Lifecycle Manager and its role.

    A snapshot holds the disk of one moment while Qdrant runs, which its write-ahead log is made to recover from.
    Snapshots carry the stage's tags and stay when the policy is deleted; a delete of the stage removes them.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: HostedVectors, stage: str, volume: ec2.Volume
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        cdk.Tags.of(volume).add(TARGET, stage_prefix(stage))
        tags = {"project": PROJECT, "stage": stage}
        role = self._role(stack, stage, volume)
        props = dlm.CfnLifecyclePolicy
        policy = props(
            self,
            "Policy",
            description=f"Daily snapshots of the vector store of {stage}",
            state="ENABLED",
            execution_role_arn=role.role_arn,
            policy_details=props.PolicyDetailsProperty(
                policy_type="EBS_SNAPSHOT_MANAGEMENT",
                resource_types=["VOLUME"],
                target_tags=[cdk.CfnTag(key=TARGET, value=stage_prefix(stage))],
                schedules=[
                    props.ScheduleProperty(
                        name="daily",
                        # An hour after the start of the backup into the bucket.
                        create_rule=props.CreateRuleProperty(
                            interval=24, interval_unit="HOURS", times=[f"{(settings.backup_hour + 1) % 24:02d}:00"]
                        ),
                        retain_rule=props.RetainRuleProperty(count=settings.volume_snapshots_kept),
                        tags_to_add=[cdk.CfnTag(key=key, value=value) for key, value in tags.items()],
                    )
                ],
            ),
        )
        policy.node.add_dependency(role)

    def _role(self, stack: cdk.Stack, stage: str, volume: ec2.Volume) -> iam.Role:
        """Role with the part of AWS's policy for this service that a daily snapshot within the account needs.

        https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSDataLifecycleManagerServiceRole.html
        """
        role = iam.Role(
            self,
            "Role",
            description="What Data Lifecycle Manager may do: snapshots of the vector store's volume",
            assumed_by=iam.ServicePrincipal(
                "dlm.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
        )
        the_volume = stack.format_arn(service="ec2", resource="volume", resource_name=volume.volume_id)
        # A snapshot's ARN has no account.
        snapshots = stack.format_arn(service="ec2", resource="snapshot", resource_name="*", account="")
        for sid, actions, resources, conditions in (
            ("Look", ["ec2:DescribeInstances", "ec2:DescribeSnapshots", "ec2:DescribeVolumes"], ["*"], {}),
            ("Take", ["ec2:CreateSnapshot"], [the_volume, snapshots], {}),
            ("Name", ["ec2:CreateTags"], [snapshots], {}),
            ("Drop", ["ec2:DeleteSnapshot"], [snapshots], {"StringEquals": {"aws:ResourceTag/stage": stage}}),
        ):
            role.add_to_policy(
                iam.PolicyStatement(sid=sid, actions=actions, resources=resources, conditions=conditions)
            )
        for finding, reason in (
            ("*", "EC2's Describe calls have no resource-level permissions."),
            (
                readable(self, snapshots),
                "A snapshot's id is unknown before it exists; only those of the stage may be deleted.",
            ),
        ):
            acknowledge(role, f"AwsSolutions-IAM5[Resource::{finding}]", reason)
        return role
