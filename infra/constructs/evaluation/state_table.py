"""Table for the state that the evaluation functions keep between calls."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge

READ_AND_WRITE = ("GetItem", "PutItem", "UpdateItem", "DeleteItem")


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

    def allows(self, *verbs: str) -> iam.PolicyStatement:
        """Permission for `GetItem`, `PutItem`, `UpdateItem` or `DeleteItem`."""
        actions = [f"dynamodb:{verb}" for verb in verbs]
        return iam.PolicyStatement(actions=actions, resources=[self.table.table_arn])
