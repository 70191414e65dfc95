"""Evaluation stack: collects sampled answers, judges them, raises and delivers alarms."""

from __future__ import annotations

import json
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.constructs.acknowledge import acknowledge, readable
from infra.constructs.alarms import Alarms, AlertsTopic
from infra.constructs.evaluation_function import DependencyLayer, ServiceFunction
from infra.constructs.judge_access import JudgeAccess
from infra.constructs.judging import Judging
from infra.constructs.llm_metrics import LlmMetrics
from infra.constructs.samples_queue import SamplesQueue
from infra.constructs.schedule import FunctionSchedule
from infra.constructs.secret import placeholder_secret
from infra.constructs.state_table import StateTable
from infra.environment import opik_page_url, opik_sdk_environment, opik_trace_url
from infra.names import Names
from infra.settings import DeploymentSettings

NOTIFY_TIMEOUT = cdk.Duration.seconds(60)
MINUTES_PER_DAY = 1440


class EvaluationStack(cdk.Stack):
    """From the samples queue to the message in the chat."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: DeploymentSettings, env: cdk.Environment
    ) -> None:
        super().__init__(scope, construct_id, env=env, description="LLM twin: evaluation")
        self._settings = settings
        evaluation = settings.evaluation
        self.opik_key = placeholder_secret(self, "OpikApiKey", "API key of Opik")
        self._slack = placeholder_secret(self, "SlackWebhook", "Incoming webhook that alerts are posted to")
        self.samples = SamplesQueue(
            self,
            "Samples",
            consumer_timeout=cdk.Duration.seconds(evaluation.collect_timeout_seconds),
            batch_window=cdk.Duration.seconds(evaluation.batch_window_seconds),
        )
        self._layer = DependencyLayer(self, "Dependencies", settings=evaluation).layer
        self._opik = {
            "STAGE": settings.stage,
            "DATASET_NAME": evaluation.dataset,
            "OPIK_API_KEY_SECRET_ARN": self.opik_key.secret_arn,
            **opik_sdk_environment(settings),
        }
        self.alerts = AlertsTopic(self, "Alerts", budgets=settings.guard.monthly_budget_usd is not None)
        self._state = StateTable(self, "State")
        evaluate, shard, finish, judging = self._evaluate()
        functions = {
            "Collection": self._collect(evaluate),
            "Evaluation": evaluate,
            "Judging": shard,
            "Finishing": finish,
            "Retention": self._expire_samples(),
            "Notification": self._notify(),
        }
        collect, notify = functions["Collection"], functions["Notification"]
        quality = self._alarms(functions, judging)
        if settings.monitoring.dashboard:
            self._dashboard(functions, judging)
        for name, value in {
            "SamplesQueueUrl": self.samples.queue.queue_url,
            "SamplesDeadLetterQueueUrl": self.samples.dead_letters.queue_url,
            "CollectFunctionName": collect.function.function_name,
            "EvaluateFunctionName": evaluate.function.function_name,
            "NotifyFunctionName": notify.function.function_name,
            "AlertsTopicArn": self.alerts.topic.topic_arn,
            "QualityAlarmName": quality.alarm_name,
            "JudgingStateMachineArn": judging.arn,
            "StateTableName": self._state.table.table_name,
            "SlackWebhookSecretArn": self._slack.secret_arn,
            "OpikApiKeySecretArn": self.opik_key.secret_arn,
            "DatasetName": evaluation.dataset,
            "MetricNamespace": evaluation.metric_namespace,
        }.items():
            cdk.CfnOutput(self, name, value=value)

    def _function(
        self,
        construct_id: str,
        handler: str,
        description: str,
        environment: dict[str, str],
        timeout: cdk.Duration,
        *,
        asynchronous: bool = True,
    ) -> ServiceFunction:
        return ServiceFunction(
            self,
            construct_id,
            handler=handler,
            description=description,
            settings=self._settings.evaluation,
            environment=environment,
            timeout=timeout,
            log_retention_days=self._settings.monitoring.log_retention_days,
            layers=[self._layer],
            asynchronous=asynchronous,
        )

    def _collect(self, evaluate: ServiceFunction) -> ServiceFunction:
        evaluation = self._settings.evaluation
        collect = self._function(
            "Collect",
            "collect_samples",
            "Puts sampled answers into the Opik dataset",
            {
                **self._opik,
                "STATE_TABLE_NAME": self._state.table.table_name,
                "EVALUATE_FUNCTION_NAME": evaluate.function.function_name,
                "EVALUATE_EVERY": str(evaluation.evaluate_every),
            },
            cdk.Duration.seconds(evaluation.collect_timeout_seconds),
            asynchronous=False,
        )
        collect.role.add_to_policy(_reads(self.opik_key.secret_arn))
        collect.role.add_to_policy(self._state.allows("UpdateItem"))
        collect.role.add_to_policy(_calls(evaluate.function.function_arn))
        collect.function.add_event_source(
            sources.SqsEventSource(
                self.samples.queue,
                batch_size=evaluation.batch_size,
                max_batching_window=cdk.Duration.seconds(evaluation.batch_window_seconds),
                report_batch_item_failures=True,
            )
        )
        return collect

    def _evaluate(self) -> tuple[ServiceFunction, ServiceFunction, ServiceFunction, Judging]:
        """The function that judges, what it needs for runs that are too long for it, and when it runs."""
        evaluation = self._settings.evaluation
        names = Names.of(self._settings)
        watermark = ssm.StringParameter(
            self,
            "Watermark",
            parameter_name=f"/twin/{self._settings.stage}/evaluation/watermark",
            description="Time up to which samples are judged; the evaluation moves it on",
            string_value="1970-01-01T00:00:00Z",
        )
        judge = JudgeAccess(self, "Judge", settings=self._settings)
        if judge.key:
            cdk.CfnOutput(self, "JudgeApiKeySecretArn", value=judge.key.secret_arn)
        environment = {
            **self._opik,
            **judge.environment,
            "EMBEDDING_MODEL_DIR": self._settings.embedding.model_dir,
            "METRIC_NAMESPACE": evaluation.metric_namespace,
            "LLM_MODEL_ID": self._settings.llm.model_id,
            "STATE_TABLE_NAME": self._state.table.table_name,
            "SHARD_SIZE": str(evaluation.shard_size),
        }
        moves_on = {"WATERMARK_PARAMETER_NAME": watermark.parameter_name}
        timeout = cdk.Duration.seconds(evaluation.evaluate_timeout_seconds)
        shard = self._function(
            "JudgeShard", "judge_shard", "Judges one shard of a long run", environment, timeout, asynchronous=False
        )
        machine = Judging.arn_of(self, names.judging)
        evaluate = self._function(
            "Evaluate",
            "evaluate_monitoring",
            "Judges new samples and publishes the quality metrics",
            {**environment, **moves_on, "STATE_MACHINE_ARN": machine},
            timeout,
        )
        finish = self._function(
            "FinishRun",
            "finish_run",
            "Publishes the quality metrics of a long run",
            {**environment, **moves_on, "EVALUATE_FUNCTION_NAME": evaluate.function.function_name},
            timeout,
            asynchronous=False,
        )
        judging = Judging(
            self,
            "Judging",
            name=names.judging,
            judge=shard.function,
            finish=finish.function,
            concurrency=evaluation.shard_concurrency,
            log_retention_days=self._settings.monitoring.log_retention_days,
        )
        reads_opik = _reads(self.opik_key.secret_arn)
        for function in (evaluate, shard, finish):
            function.role.add_to_policy(reads_opik)
            judge.grant(function.role)
        shard.role.add_to_policy(self._state.allows("GetItem", "PutItem", "UpdateItem"))
        for function in (evaluate, finish):
            function.role.add_to_policy(self._state.allows("GetItem", "PutItem", "UpdateItem", "DeleteItem"))
            self._publishes(function, watermark)
        evaluate.role.add_to_policy(iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine]))
        finish.role.add_to_policy(_calls(evaluate.function.function_arn))
        self._every("Hourly", evaluation.interval_minutes, "Judges what was sampled since the last run", evaluate)
        return evaluate, shard, finish, judging

    def _publishes(self, function: ServiceFunction, watermark: ssm.StringParameter) -> None:
        namespace = self._settings.evaluation.metric_namespace
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
            "cloudwatch:PutMetricData knows no resource; the condition holds it to this project's namespace.",
        )

    def _every(self, construct_id: str, minutes: int, description: str, service: ServiceFunction) -> None:
        assert service.dead_letters is not None  # noqa: S101 - asynchronous functions have one
        FunctionSchedule(
            self,
            construct_id,
            expression=f"rate({minutes} minutes)",
            description=description,
            function=service.function,
            dead_letters=service.dead_letters,
        )

    def _expire_samples(self) -> ServiceFunction:
        evaluation = self._settings.evaluation
        expire = self._function(
            "ExpireSamples",
            "expire_samples",
            "Removes samples that are older than their dataset's retention",
            {**self._opik, "RETENTION_DAYS": json.dumps(evaluation.retention_days, sort_keys=True)},
            cdk.Duration.seconds(evaluation.evaluate_timeout_seconds),
        )
        expire.role.add_to_policy(_reads(self.opik_key.secret_arn))
        self._every("Daily", MINUTES_PER_DAY, "Removes samples whose time is over", expire)
        return expire

    def _notify(self) -> ServiceFunction:
        settings, evaluation = self._settings, self._settings.evaluation
        names = Names.of(settings)
        deployed = [names.stack(name) for name in ("llm", "business", "evaluation")]
        notify = self._function(
            "Notify",
            "notify",
            "Posts alarms to Slack",
            {
                "STAGE": settings.stage,
                "RELEASE": settings.release,
                "STACK_NAMES": ",".join(deployed),
                "STATE_TABLE_NAME": self._state.table.table_name,
                "SLACK_WEBHOOK_SECRET_ARN": self._slack.secret_arn,
                "RUNBOOK_URL": evaluation.runbook_url,
                "OPIK_PAGE_URL": opik_page_url(settings),
                "TRACE_URL": opik_trace_url(settings),
                "MESSAGES_PER_HOUR": str(evaluation.messages_per_hour),
            },
            NOTIFY_TIMEOUT,
        )
        notify.role.add_to_policy(_reads(self._slack.secret_arn))
        notify.role.add_to_policy(self._state.allows("GetItem", "PutItem", "UpdateItem", "DeleteItem"))
        stacks = [
            self.format_arn(service="cloudformation", resource="stack", resource_name=f"{name}/*") for name in deployed
        ]
        notify.role.add_to_policy(iam.PolicyStatement(actions=["cloudformation:DescribeStacks"], resources=stacks))
        for stack in stacks:
            acknowledge(
                notify.role,
                f"AwsSolutions-IAM5[Resource::{readable(self, stack)}]",
                "A stack's ARN ends in an id that is not known before it stands.",
            )
        self.alerts.topic.add_subscription(
            subscriptions.LambdaSubscription(notify.function, dead_letter_queue=notify.dead_letters)
        )
        for address in evaluation.alert_emails:
            # The second channel needs nothing of ours to work.
            self.alerts.topic.add_subscription(subscriptions.EmailSubscription(address))
        return notify

    def _alarms(self, functions: Mapping[str, ServiceFunction], judging: Judging) -> cloudwatch.Alarm:
        """Every alarm of this stack, and one over those that callers feel; returns the first of answer quality."""
        stage, evaluation = self._settings.stage, self._settings.evaluation
        monitoring, llm = self._settings.monitoring, LlmMetrics.of(self._settings)
        alarms = Alarms(self, "Alarms", topic=self.alerts.topic)
        alarms.dead_letters("SamplesLost", self.samples.dead_letters, "Samples that could not be collected")
        alarms.queue_age("SamplesLate", self.samples.queue, evaluation.queue_age_seconds)
        for name, service in functions.items():
            alarms.function_errors(f"{name}Errors", service.function, name)
            if service.dead_letters is not None:
                alarms.dead_letters(f"{name}Lost", service.dead_letters, f"A call of the {name.lower()}")
        alarms.failed_runs("RunsFailed", judging.arn)
        alarms.failed_scores("FailedScores", evaluation, stage)
        if self._settings.judge.provider != "none":
            alarms.judging_stopped("JudgingStopped", evaluation, stage)
        alarms.no_evaluation("NoEvaluation", evaluation, stage)
        alarms.gpu_memory("GpuMemory", llm, monitoring.gpu_memory_percent)
        alarms.endpoint_disk("EndpointDisk", llm, monitoring.disk_percent)
        suffering = [
            *alarms.quality(evaluation, stage),
            alarms.endpoint_errors("EndpointErrors", llm),
            alarms.endpoint_latency("EndpointLatency", llm, evaluation.latency_p99_seconds),
        ]
        alarms.any_of("TwinIsIll", suffering, "The twin is ill: its answers are bad, late or missing.")
        return suffering[0]

    def _dashboard(self, functions: Mapping[str, ServiceFunction], judging: Judging) -> None:
        # Here, because its library is 7 MB of Python, which stages without a dashboard need not load.
        from infra.constructs.dashboard import Dashboard

        Dashboard(
            self,
            "Dashboard",
            settings=self._settings,
            samples=self.samples.queue,
            samples_lost=self.samples.dead_letters,
            functions={name: service.function for name, service in functions.items()},
            dead_letters={
                name: service.dead_letters for name, service in functions.items() if service.dead_letters is not None
            },
            state_machine_arn=judging.arn,
        )


def _reads(secret_arn: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[secret_arn])


def _calls(function_arn: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function_arn])
