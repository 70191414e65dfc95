"""Delivery of alarms from their topic to Slack and to e-mail addresses."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.constructs.evaluation.shared import Shared
from infra.constructs.shared.acknowledge import acknowledge, readable
from infra.constructs.shared.statements import reads
from infra.environment import opik_page_url, opik_trace_url, runbook_url
from infra.names import Names

TIMEOUT = cdk.Duration.seconds(60)
WATCHED = ("llm", "business", "evaluation")
"""Stacks whose latest deployment a message names."""


class Notification(Construct):
    """The function that formats alarms and posts them to Slack; e-mail addresses get AWS's own messages."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: Shared,
        webhook: secretsmanager.ISecret,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        settings, evaluation = shared.settings, shared.settings.evaluation
        stack, names = cdk.Stack.of(self), Names.of(settings)
        deployed = [names.stack(name) for name in WATCHED]
        self.notify = shared.function(
            self,
            "Notify",
            "notify",
            "Posts alarms to Slack",
            {
                "STAGE": settings.stage,
                "RELEASE": settings.release,
                "STACK_NAMES": ",".join(deployed),
                "STATE_TABLE_NAME": shared.state.table.table_name,
                "SLACK_WEBHOOK_SECRET_ARN": webhook.secret_arn,
                "RUNBOOK_URL": runbook_url(settings),
                "OPIK_PAGE_URL": opik_page_url(settings),
                "TRACE_URL": opik_trace_url(settings),
                "MESSAGES_PER_HOUR": str(evaluation.messages_per_hour),
            },
            TIMEOUT,
        )
        role = self.notify.role
        role.add_to_policy(reads(webhook))
        shared.state.grant(role, "notify")
        stacks = [
            stack.format_arn(service="cloudformation", resource="stack", resource_name=f"{name}/*") for name in deployed
        ]
        role.add_to_policy(iam.PolicyStatement(actions=["cloudformation:DescribeStacks"], resources=stacks))
        for arn in stacks:
            acknowledge(
                role,
                f"AwsSolutions-IAM5[Resource::{readable(stack, arn)}]",
                "A stack's ARN ends in an id that is unknown before the stack exists.",
            )
        topic.add_subscription(
            subscriptions.LambdaSubscription(self.notify.function, dead_letter_queue=self.notify.dead_letters)
        )
        for address in evaluation.alert_emails:
            # The second channel depends on none of this project's code.
            topic.add_subscription(subscriptions.EmailSubscription(address))
