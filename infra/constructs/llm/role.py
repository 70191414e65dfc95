"""Execution role of the LLM endpoint."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge, readable
from infra.settings.data_capture import DataCapture


class LlmRole(Construct):
    """Role for image, logs and metrics; weights, captures and alarms are added where the settings need them."""

    def __init__(self, scope: Construct, construct_id: str, *, image: str) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        self._partition = stack.partition
        self.role = iam.Role(
            self,
            "Role",
            description="What SageMaker may do for the LLM endpoint: pull its image, write its logs and metrics",
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
        )
        account, repository = image.split(".", 1)[0], image.split("/", 1)[1].split("@")[0].split(":")[0]
        self._allow(
            "PullImage",
            ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
            (f"arn:{stack.partition}:ecr:{stack.region}:{account}:repository/{repository}",),
        )
        self._allow("LogInToEcr", ("ecr:GetAuthorizationToken",), ("*",))
        self._allow(
            "PublishMetrics",
            ("cloudwatch:PutMetricData",),
            ("*",),
            {"StringLike": {"cloudwatch:namespace": ["AWS/SageMaker", "/aws/sagemaker/*"]}},
        )
        acknowledge(
            self.role,
            "AwsSolutions-IAM5[Resource::*]",
            "Neither action has resource-level permissions; PutMetricData is limited to SageMaker's namespaces.",
        )

    def allow_log_streams(self, group_arns: Sequence[str]) -> None:
        """Allow finding the streams of the containers' logs, as AWS lists it for this role.

        https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms names
        CreateLogGroup as well, which is left out: the stack has the groups, and none may come back after its deletion.
        """
        self._allow("FindOwnLogs", ("logs:DescribeLogStreams",), group_arns)

    def allow_sessions(self) -> None:
        """Allow the agent in the containers to open sessions of Systems Manager.

        https://docs.aws.amazon.com/sagemaker/latest/dg/ssm-access.html; none of the actions has resource-level
        permissions, and the wildcard is acknowledged with those above.
        """
        verbs = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
        self._allow("OpenSessions", tuple(f"ssmmessages:{verb}" for verb in verbs), ("*",))

    def allow_weights(self, bucket: str, prefix: str, key_arn: str | None) -> None:
        """Allow reading the model's files: this revision and no other object of the bucket."""
        arn = f"arn:{self._partition}:s3:::{bucket}"
        files = f"{arn}/{prefix}*"
        self._allow("ReadWeights", ("s3:GetObject",), (files,))
        self._allow("ListWeights", ("s3:ListBucket",), (arn,), {"StringLike": {"s3:prefix": f"{prefix}*"}})
        if key_arn is not None:
            self._allow("DecryptWeights", ("kms:Decrypt",), (key_arn,))
        self._wildcard(files, "The files of the one revision that the stage names.")

    def allow_captures(self, capture: DataCapture, prefix: str) -> None:
        """Allow writing captured requests under a prefix."""
        files = f"arn:{self._partition}:s3:::{capture.bucket}/{prefix}/*"
        self._allow("WriteCaptures", ("s3:PutObject",), (files,))
        if capture.kms_key_arn is not None:
            self._allow("EncryptCaptures", ("kms:GenerateDataKey",), (capture.kms_key_arn,))
        self._wildcard(files, "SageMaker names each file of captured requests itself.")

    def allow_alarms(self, alarm_arns: Sequence[str]) -> None:
        """Allow reading the alarms that roll an update back.

        https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
        """
        self._allow("WatchUpdates", ("cloudwatch:DescribeAlarms",), alarm_arns)

    def _allow(
        self,
        sid: str,
        actions: Sequence[str],
        resources: Sequence[str],
        conditions: dict[str, dict[str, object]] | None = None,
    ) -> None:
        self.role.add_to_policy(
            iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources), conditions=conditions)
        )

    def _wildcard(self, resource: str, reason: str) -> None:
        acknowledge(self.role, f"AwsSolutions-IAM5[Resource::{readable(self, resource)}]", reason)
