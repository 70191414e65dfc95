"""Kill switch of the monthly budget: a topic that only AWS Budgets may publish to, and the function subscribed to it.

AWS Budgets' own actions attach policies and stop EC2 or RDS instances
(https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-controls.html); none of them stops a
SageMaker endpoint, so a function does.
"""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.constructs.functions.service_function import ServiceFunction
from infra.constructs.guard.budget import MonthlyBudget
from infra.constructs.guard.model_stop import allow_stop, stop_variables
from infra.constructs.monitoring.alarms import AlertsTopic, budgets_of
from infra.settings.deployment import DeploymentSettings


class KillSwitch(Construct):
    """The monthly budget with a further notification at 100 % spent, which stops the model."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: DeploymentSettings,
        usd: float,
        alerts: AlertsTopic,
        timeout: cdk.Duration,
        layers: Sequence[lambda_.ILayerVersion],
    ) -> None:
        """Declare budget, topic and function."""
        super().__init__(scope, construct_id)
        # By its ARN: the key's policy, which is another stack's, lets AWS Budgets use it already.
        key = kms.Key.from_key_arn(self, "Key", alerts.key.key_arn)
        self.topic = sns.Topic(self, "Topic", master_key=key, enforce_ssl=True)
        policy_statement = self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[budgets_of(self)], actions=["sns:Publish"], resources=[self.topic.topic_arn]
            )
        )
        month = MonthlyBudget(self, "Month", settings=settings, usd=usd, topic=alerts.topic, switch=self.topic)
        if policy_statement.policy_dependable is not None:
            month.budget.node.add_dependency(policy_statement.policy_dependable)
        self.stop = ServiceFunction(
            self,
            "StopSpending",
            handler="services.guard.handlers.stop_spending",
            description="Parks the model when the month's budget is spent, or deletes its stack",
            settings=settings.evaluation,
            environment={
                **stop_variables(settings),
                "BUDGET_NAME": month.budget.ref,
                "ALERTS_TOPIC_ARN": alerts.topic.topic_arn,
            },
            timeout=timeout,
            log_retention_days=settings.monitoring.log_retention_days,
            layers=layers,
        )
        role = self.stop.role
        allow_stop(role, settings)
        role.add_to_policy(
            iam.PolicyStatement(sid="TellPeople", actions=["sns:Publish"], resources=[alerts.topic.topic_arn])
        )
        # Publishing to an encrypted topic needs both:
        # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        role.add_to_policy(
            iam.PolicyStatement(
                sid="EncryptWhatIsTold",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[alerts.key.key_arn],
            )
        )
        self.topic.add_subscription(
            subscriptions.LambdaSubscription(self.stop.function, dead_letter_queue=self.stop.dead_letters)
        )
