"""Evaluation stack: collects sampled answers, judges them, raises and delivers alarms."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.constructs.acknowledge import acknowledge
from infra.constructs.alarms import Alarms, AlertsTopic
from infra.constructs.evaluation_function import DependencyLayer, ServiceFunction
from infra.constructs.samples_queue import SamplesQueue
from infra.constructs.schedule import FunctionSchedule
from infra.constructs.secret import placeholder_secret
from infra.environment import opik_page_url, opik_sdk_environment
from infra.settings import DeploymentSettings

NOTIFY_TIMEOUT = cdk.Duration.seconds(30)


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
        self.alerts = AlertsTopic(self, "Alerts")
        collect = self._collect()
        evaluate = self._evaluate()
        notify = self._notify()
        quality = self._alarms(collect, evaluate, notify)
        for name, value in {
            "SamplesQueueUrl": self.samples.queue.queue_url,
            "SamplesDeadLetterQueueUrl": self.samples.dead_letters.queue_url,
            "CollectFunctionName": collect.function.function_name,
            "EvaluateFunctionName": evaluate.function.function_name,
            "NotifyFunctionName": notify.function.function_name,
            "AlertsTopicArn": self.alerts.topic.topic_arn,
            "QualityAlarmName": quality.alarm_name,
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

    def _collect(self) -> ServiceFunction:
        evaluation = self._settings.evaluation
        collect = self._function(
            "Collect",
            "collect_samples",
            "Puts sampled answers into the Opik dataset",
            self._opik,
            cdk.Duration.seconds(evaluation.collect_timeout_seconds),
            asynchronous=False,
        )
        collect.role.add_to_policy(_reads(self.opik_key.secret_arn))
        collect.function.add_event_source(
            sources.SqsEventSource(
                self.samples.queue,
                batch_size=evaluation.batch_size,
                max_batching_window=cdk.Duration.seconds(evaluation.batch_window_seconds),
                report_batch_item_failures=True,
            )
        )
        return collect

    def _evaluate(self) -> ServiceFunction:
        evaluation = self._settings.evaluation
        watermark = ssm.StringParameter(
            self,
            "Watermark",
            parameter_name=f"/twin/{self._settings.stage}/evaluation/watermark",
            description="Time up to which samples are judged; the evaluation moves it on",
            string_value="1970-01-01T00:00:00Z",
        )
        evaluate = self._function(
            "Evaluate",
            "evaluate_monitoring",
            "Judges new samples and publishes the quality metrics",
            {
                **self._opik,
                "EMBEDDING_MODEL_DIR": self._settings.embedding.model_dir,
                "METRIC_NAMESPACE": evaluation.metric_namespace,
                "WATERMARK_PARAMETER_NAME": watermark.parameter_name,
                "LLM_MODEL_ID": self._settings.llm.model_id,
            },
            cdk.Duration.seconds(evaluation.evaluate_timeout_seconds),
        )
        evaluate.role.add_to_policy(_reads(self.opik_key.secret_arn))
        evaluate.role.add_to_policy(
            iam.PolicyStatement(actions=["ssm:GetParameter", "ssm:PutParameter"], resources=[watermark.parameter_arn])
        )
        evaluate.role.add_to_policy(
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": evaluation.metric_namespace}},
            )
        )
        acknowledge(
            evaluate.role,
            "AwsSolutions-IAM5[Resource::*]",
            "cloudwatch:PutMetricData knows no resource; the condition holds it to this project's namespace.",
        )
        assert evaluate.dead_letters is not None  # noqa: S101 - asynchronous functions have one
        FunctionSchedule(
            self,
            "Hourly",
            expression=f"rate({evaluation.interval_minutes} minutes)",
            description="Judges what was sampled since the last run",
            function=evaluate.function,
            dead_letters=evaluate.dead_letters,
        )
        return evaluate

    def _notify(self) -> ServiceFunction:
        notify = self._function(
            "Notify",
            "notify",
            "Posts alarms to Slack",
            {
                "STAGE": self._settings.stage,
                "SLACK_WEBHOOK_SECRET_ARN": self._slack.secret_arn,
                "RUNBOOK_URL": self._settings.evaluation.runbook_url,
                "OPIK_PAGE_URL": opik_page_url(self._settings),
            },
            NOTIFY_TIMEOUT,
        )
        notify.role.add_to_policy(_reads(self._slack.secret_arn))
        self.alerts.topic.add_subscription(
            subscriptions.LambdaSubscription(notify.function, dead_letter_queue=notify.dead_letters)
        )
        return notify

    def _alarms(self, collect: ServiceFunction, evaluate: ServiceFunction, notify: ServiceFunction) -> cloudwatch.Alarm:
        stage, evaluation = self._settings.stage, self._settings.evaluation
        alarms = Alarms(self, "Alarms", topic=self.alerts.topic)
        alarms.dead_letters("SamplesLost", self.samples.dead_letters, "Samples that could not be collected")
        functions: dict[str, tuple[lambda_.Function, ServiceFunction]] = {
            "Collection": (collect.function, collect),
            "Evaluation": (evaluate.function, evaluate),
            "Notification": (notify.function, notify),
        }
        for name, (function, service) in functions.items():
            alarms.function_errors(f"{name}Errors", function, name)
            if service.dead_letters is not None:
                alarms.dead_letters(f"{name}Lost", service.dead_letters, f"A call of the {name.lower()}")
        alarms.failed_scores("FailedScores", evaluation, stage)
        return alarms.quality("Quality", evaluation, stage)


def _reads(secret_arn: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[secret_arn])
