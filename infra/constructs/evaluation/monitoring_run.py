"""Monitoring run: judges the samples since the last run and publishes the quality metrics."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.constructs.evaluation.judge_access import JudgeAccess
from infra.constructs.evaluation.judging import Judging
from infra.constructs.evaluation.shared import Shared
from infra.constructs.functions.schedule import FunctionSchedule
from infra.constructs.functions.service_function import ServiceFunction
from infra.constructs.shared.acknowledge import acknowledge
from infra.constructs.shared.statements import calls, reads
from infra.names import Names, watermark_parameter


class MonitoringRun(Construct):
    """A scheduled function, and a state machine for the runs that are too long for it.

    Attributes:
        evaluate: starts a run, and finishes a short one itself.
        shard: judges one part of a long run.
        finish: finishes a long run.
        judging: calls `shard` and `finish`.
        judge_key: secret with the judge's API key, where the judge needs one.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: Shared) -> None:
        super().__init__(scope, construct_id)
        settings, evaluation = shared.settings, shared.settings.evaluation
        judge = JudgeAccess(self, "Judge", settings=settings)
        self.judge_key = judge.key
        # Leave every property as it is: CloudFormation writes the initial value again with any change of the parameter,
        # and the evaluation would then judge every sample anew.
        watermark = ssm.StringParameter(
            self,
            "Watermark",
            parameter_name=watermark_parameter(settings.stage),
            description="Time up to which samples are judged; the evaluation moves it on",
            string_value="1970-01-01T00:00:00Z",
        )
        name = Names.of(settings).judging
        self.shard, self.evaluate, self.finish = self._functions(shared, judge, watermark, Judging.arn_of(self, name))
        self.judging = Judging(
            self,
            "Judging",
            name=name,
            judge=self.shard.function,
            finish=self.finish.function,
            concurrency=evaluation.shard_concurrency,
            log_retention_days=settings.monitoring.log_retention_days,
        )
        self._grant(shared, judge, watermark)
        FunctionSchedule(
            self,
            "Schedule",
            expression=f"rate({evaluation.interval_minutes} minutes)",
            description="Judges the samples since the last run",
            service=self.evaluate,
        )

    def _functions(
        self, shared: Shared, judge: JudgeAccess, watermark: ssm.StringParameter, machine_arn: str
    ) -> tuple[ServiceFunction, ServiceFunction, ServiceFunction]:
        """The functions that judge a shard, start a run, and finish a long run."""
        settings, evaluation = shared.settings, shared.settings.evaluation
        environment = {
            **shared.opik,
            **judge.environment,
            "EMBEDDING_MODEL_DIR": settings.embedding.model_dir,
            "METRIC_NAMESPACE": evaluation.metric_namespace,
            "LLM_MODEL_ID": settings.llm.served_name,
            "STATE_TABLE_NAME": shared.state.table.table_name,
            "SHARD_SIZE": str(evaluation.shard_size),
        }
        watermark_env = {"WATERMARK_PARAMETER_NAME": watermark.parameter_name}
        timeout = cdk.Duration.seconds(evaluation.evaluate_timeout_seconds)
        shard = shared.function(
            self,
            "JudgeShard",
            "judge_shard",
            "Judges one shard of a long run",
            environment,
            timeout,
            asynchronous=False,
        )
        evaluate = shared.function(
            self,
            "Evaluate",
            "evaluate_monitoring",
            "Judges new samples and publishes the quality metrics",
            {**environment, **watermark_env, "STATE_MACHINE_ARN": machine_arn},
            timeout,
        )
        finish = shared.function(
            self,
            "Finish",
            "finish_run",
            "Publishes the quality metrics of a long run",
            {**environment, **watermark_env, "EVALUATE_FUNCTION_NAME": evaluate.function.function_name},
            timeout,
            asynchronous=False,
        )
        return shard, evaluate, finish

    def _grant(self, shared: Shared, judge: JudgeAccess, watermark: ssm.StringParameter) -> None:
        for function, handler in (
            (self.evaluate, "evaluate_monitoring"),
            (self.shard, "judge_shard"),
            (self.finish, "finish_run"),
        ):
            function.role.add_to_policy(reads(shared.opik_key))
            judge.grant(function.role)
            shared.state.grant(function.role, handler)
        for function in (self.evaluate, self.finish):
            _publishes(function, watermark, shared.settings.evaluation.metric_namespace)
        self.evaluate.role.add_to_policy(
            iam.PolicyStatement(actions=["states:StartExecution"], resources=[self.judging.arn])
        )
        self.finish.role.add_to_policy(calls(self.evaluate.function))


def _publishes(function: ServiceFunction, watermark: ssm.StringParameter, namespace: str) -> None:
    function.role.add_to_policy(
        iam.PolicyStatement(actions=["ssm:GetParameter", "ssm:PutParameter"], resources=[watermark.parameter_arn])
    )
    function.role.add_to_policy(
        iam.PolicyStatement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": namespace}},
        )
    )
    acknowledge(
        function.role,
        "AwsSolutions-IAM5[Resource::*]",
        "PutMetricData has no resource-level permissions; the condition limits it to this project's namespace.",
    )
