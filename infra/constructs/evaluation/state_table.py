"""Table for the state that the evaluation functions keep between calls."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge

CALLS_BY_FUNCTION: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "collect_samples": {"UpdateItem": ("count/samples",)},
    "judge_shard": {
        "GetItem": ("shard/*", "judging/*"),
        "PutItem": ("shard/*",),
        "UpdateItem": ("judging/*",),
    },
    "evaluate_monitoring": {
        "GetItem": ("shard/*", "judging/*", "profile/*"),
        "PutItem": ("shard/*", "profile/*", "latest-run"),
        "UpdateItem": ("lease/evaluation", "judging/*"),
        "DeleteItem": ("lease/evaluation",),
    },
    "finish_run": {
        "GetItem": ("shard/*", "profile/*"),
        "PutItem": ("profile/*", "latest-run"),
        "DeleteItem": ("lease/evaluation",),
    },
    "notify": {
        "GetItem": ("told/*", "raised/*", "latest-run"),
        "PutItem": ("told/*", "raised/*", "sending/*"),
        "UpdateItem": ("sending/*", "hour/*"),
    },
}
"""By handler: what it does to which keys. A function that was taken over can touch no other's entries."""


class StateTable(Construct):
    """Lease, counters, scores of a running evaluation, announced alarms: paid per request, expired by age."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="key", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires",
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        acknowledge(
            self.table,
            "AwsSolutions-DDB3",
            "No backup: lost state only means that samples are judged, or alarms announced, a second time.",
        )

    def grant(self, role: iam.IRole, handler: str) -> None:
        """Permit the calls of `handler`, each on its own keys.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
        """
        for call, keys in CALLS_BY_FUNCTION[handler].items():
            role.add_to_principal_policy(
                iam.PolicyStatement(
                    actions=[f"dynamodb:{call}"],
                    resources=[self.table.table_arn],
                    conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}},
                )
            )
