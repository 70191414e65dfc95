"""Every alarm of the evaluation stack, and one over those that callers feel."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.evaluation.judging import Judging
from infra.constructs.evaluation.samples_queue import SamplesQueue
from infra.constructs.functions.service_function import ServiceFunction
from infra.constructs.llm.metrics import LlmMetrics
from infra.constructs.monitoring.alarms import Alarms
from infra.settings.deployment import DeploymentSettings


class EvaluationAlarms(Alarms):
    """Alarms on the evaluation itself, on what it says of the answers, and on the endpoint.

    Attributes:
        first_of_quality: the first alarm on the quality of the answers.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        topic: sns.ITopic,
        settings: DeploymentSettings,
        samples: SamplesQueue,
        functions: Mapping[str, ServiceFunction],
        judging: Judging,
    ) -> None:
        """`functions` are named as messages name them."""
        super().__init__(scope, construct_id, topic=topic)
        stage, evaluation = settings.stage, settings.evaluation
        monitoring, llm = settings.monitoring, LlmMetrics.of(settings)
        self.dead_letters("SamplesLost", samples.dead_letters, "Samples that could not be collected")
        self.queue_age("SamplesLate", samples.queue, evaluation.queue_age_seconds)
        for name, service in functions.items():
            self.service(name, service, name, f"A call of the {name.lower()}")
        self.failed_runs("RunsFailed", judging.arn)
        self.failed_scores("FailedScores", evaluation, stage)
        if settings.judge.provider != "none":
            self.judging_stopped("JudgingStopped", evaluation, stage)
        self.no_evaluation("NoEvaluation", evaluation, stage)
        self.gpu_memory("GpuMemory", llm, monitoring.gpu_memory_percent)
        self.endpoint_disk("EndpointDisk", llm, monitoring.disk_percent)
        suffering = [
            *self.quality(evaluation, stage),
            self.endpoint_errors("EndpointErrors", llm),
            self.endpoint_latency("EndpointLatency", llm, evaluation.latency_p99_seconds),
        ]
        self.any_of("TwinIsIll", suffering, "The twin is ill: its answers are bad, late or missing.")
        self.first_of_quality: cloudwatch.Alarm = suffering[0]
