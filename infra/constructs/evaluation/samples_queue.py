"""The queue of sampled answers."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.shared.dead_letters import dead_letter_queue

MAX_RECEIVES = 5


class SamplesQueue(Construct):
    """Sampled answers on their way to evaluation."""

    def __init__(
        self, scope: Construct, construct_id: str, *, consumer_timeout: cdk.Duration, batch_window: cdk.Duration
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(4),
            # Six times the function's timeout plus its batch window, as Lambda's guide for SQS sources asks.
            visibility_timeout=cdk.Duration.seconds(6 * consumer_timeout.to_seconds() + batch_window.to_seconds()),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=MAX_RECEIVES),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
