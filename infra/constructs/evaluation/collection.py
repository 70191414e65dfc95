"""Collection of sampled answers from their queue into the dataset."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from infra.constructs.evaluation.samples_queue import SamplesQueue
from infra.constructs.evaluation.shared import Shared
from infra.constructs.shared.statements import calls, reads


class SampleCollection(Construct):
    """The function that reads batches from the queue and starts an evaluation after every so many samples."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: Shared,
        samples: SamplesQueue,
        evaluate: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        evaluation = shared.settings.evaluation
        self.collect = shared.function(
            self,
            "Collect",
            "collect_samples",
            "Puts sampled answers into the Opik dataset",
            {
                **shared.opik,
                "STATE_TABLE_NAME": shared.state.table.table_name,
                "EVALUATE_FUNCTION_NAME": evaluate.function_name,
                "EVALUATE_EVERY": str(evaluation.evaluate_every),
            },
            cdk.Duration.seconds(evaluation.collect_timeout_seconds),
            asynchronous=False,
        )
        self.collect.role.add_to_policy(reads(shared.opik_key))
        shared.state.grant(self.collect.role, "collect_samples")
        self.collect.role.add_to_policy(calls(evaluate))
        self.collect.function.add_event_source(
            sources.SqsEventSource(
                samples.queue,
                batch_size=evaluation.batch_size,
                max_batching_window=cdk.Duration.seconds(evaluation.batch_window_seconds),
                report_batch_item_failures=True,
            )
        )
